"""The scheduler: fans actions out into commands, collects answers, keeps the books."""
