"""Objects elsewhere: the backend contract, the drivers behind it and what is wrapped around them."""
