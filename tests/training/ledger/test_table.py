"""The list of methods at the top of the module is complete, and every race is written down."""

import inspect
import re

from training.ledger import table
from training.ledger.table import Ledger

METHODS = {
    name: method
    for name, method in inspect.getmembers(Ledger, inspect.isfunction)
    if not name.startswith("_") and name != "now"
}


def test_the_list_of_methods_names_each_of_them():
    listed = set(re.findall(r"\b[a-z_]+\b", table.__doc__.split("\n\n")[2]))
    assert set(METHODS) <= listed
    assert not {name for name in listed if "_" in name} - set(METHODS)


def test_every_method_that_writes_says_who_wins():
    writing = re.compile(r"self\._(put|update|transact)\(")
    silent = [
        name
        for name, method in METHODS.items()
        if writing.search(inspect.getsource(method)) and "race" not in (method.__doc__ or "").lower()
    ]
    assert silent == []
