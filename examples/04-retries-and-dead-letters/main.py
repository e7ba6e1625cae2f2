"""Failure: some errors pass, some do not. Nothing is lost, order holds, and the other keys go on meanwhile.

``inline`` runs the handler again while its key waits. ``later`` parks the key and tries again after a time. What has no
next try is a dead letter: the key's events wait behind it, in order, until somebody redrives or discards them.
"""

import asyncio
import subprocess
import sys

from mainstem import Context, IntegrationEvent, Retry, Service, Topic, running
from mainstem.delivery import Entry

BROKER = "sqlite:///billing.db"


class Invoiced(IntegrationEvent, topic="invoices", key="customer_id"):
    customer_id: str
    invoice: int


class BankUnreachable(Exception):
    """It will pass."""


class AccountLocked(Exception):
    """It will not pass by waiting."""


class Bank:
    """Cannot be reached twice, and then it can; and it does not charge accounts that are locked."""

    def __init__(self) -> None:
        self.locked = {"c-2"}
        self.unreachable = 2

    async def charge(self, invoice: Invoiced) -> None:
        if invoice.customer_id in self.locked:
            raise AccountLocked(invoice.customer_id)
        if self.unreachable:
            self.unreachable -= 1
            raise BankUnreachable


billing = Service("billing", publishes=(Invoiced,))
bank = Bank()
billing.provide(Bank, lambda: bank)
charged: asyncio.Queue[str] = asyncio.Queue()

POLICY = Retry.on(BankUnreachable).inline(1).later("50ms", "100ms").also_on(AccountLocked).dead_letter()


@billing.on(Invoiced, retry=POLICY)
async def charge(invoice: Invoiced, context: Context, bank: Bank) -> None:
    await bank.charge(invoice)
    await charged.put(f"charged invoice {invoice.invoice} of {invoice.customer_id} in attempt {context.attempt}")


# What a group gives up stands in a topic of its own, and is for everybody to hear.
alarm = Service("alarm")
rung = asyncio.Event()


@alarm.on(Topic("billing.dead-letters", Entry, envelope=None))
async def ring(entry: Entry) -> None:
    if entry.status == "dead-lettered":
        print(f"dead letter of {entry.handler} for {entry.key}: {entry.failure.error_type}")
        rung.set()


async def main() -> None:
    async with running(billing, alarm, broker=BROKER, dev=True):
        await billing.publish(Invoiced("c-2", 1), Invoiced("c-2", 2))
        await rung.wait()
        await billing.publish(Invoiced("c-1", 3))
        print(await charged.get())

        bank.locked.clear()
        command = ("dead-letters", "redrive", "billing", "--all", "--yes", "--broker", BROKER)
        await asyncio.to_thread(subprocess.run, [sys.executable, "-m", "mainstem.ops", *command], check=True)
        print(await charged.get())
        print(await charged.get())


asyncio.run(main())
