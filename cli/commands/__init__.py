"""Parse, call, print: one module for each command or group of commands. Only `app` imports them."""
