"""Memory: a store has one value for each key. It outlives the process, and it never counts an event twice.

A store that is keyed by the event needs nothing else. One with keys of its own (``scope="partition"``) may look at all
of them, and counts what happens in one partition, in one order; so it is declared with ``lanes=1``. Here the topic has
one partition, and so it sees everything.
"""

import asyncio
from dataclasses import dataclass, field

from mainstem import Context, IntegrationEvent, Service, running


class PageViewed(IntegrationEvent, topic="views", key="page"):
    page: str
    visitor: str


@dataclass
class Page:
    views: int = 0
    visitors: set[str] = field(default_factory=set[str])


website = Service("website", publishes=(PageViewed,))
website.topic("views", partitions=1)

statistics = Service("statistics")
pages = statistics.store("pages", Page)
counted: asyncio.Queue[str] = asyncio.Queue()


@statistics.on(PageViewed)
async def count(view: PageViewed, context: Context) -> None:
    page = context.get(pages) or Page()
    page.views += 1
    page.visitors.add(view.visitor)
    context.put(pages, page)  # what is not put back is not remembered
    counted.put_nowait(f"{view.page} has {page.views} views by {len(page.visitors)} visitors")


# A group of its own reads by itself and has stores of its own.
ranking = statistics.group("ranking", lanes=1)
views = ranking.store("views", int, scope="partition")
ranked: asyncio.Queue[str] = asyncio.Queue()


@ranking.on(PageViewed)
async def rank(view: PageViewed, context: Context) -> None:
    numbers = dict(context.scan(views, limit=100))
    numbers[view.page.encode()] = number = context.get(views, 0, key=view.page) + 1
    context.put(views, number, key=view.page)
    place = sorted(numbers.values(), reverse=True).index(number) + 1
    ranked.put_nowait(f"place {place} of {len(numbers)}")


async def run(*viewed: PageViewed) -> None:
    """Run the services for a while: they read on where they stopped, and know what they knew."""
    async with running(website, statistics, broker="sqlite:///statistics.db", dev=True):
        await website.publish(*viewed)
        for _ in viewed:
            print(f"{await counted.get()}: {await ranked.get()}")


async def main() -> None:
    await run(PageViewed("/home", "ann"), PageViewed("/tea", "ann"), PageViewed("/home", "bob"))
    print("-- stopped, and started again")
    await run(PageViewed("/tea", "bob"), PageViewed("/tea", "ann"))


asyncio.run(main())
