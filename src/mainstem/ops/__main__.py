"""``python -m mainstem.ops`` is the program ``mainstem``; workers are started this way."""

from mainstem.ops import main

main()
