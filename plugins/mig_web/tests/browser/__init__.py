"""Tests in a browser, a package of their own: Playwright keeps an event loop in the thread of all tests while it runs,
so it is started for these alone (fixtures of scope ``package``)."""
