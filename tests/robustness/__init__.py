"""A campaign of what goes wrong outside: `python -m tests.robustness` tries it at length, the tests a little of it."""
