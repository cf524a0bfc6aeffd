"""How the HTTP API answers: who may call, what it accepts, what it shows. It has no trigger of its own."""
