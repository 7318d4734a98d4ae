"""How fast the page is: ``page`` measures it in a browser, against a real platform."""
