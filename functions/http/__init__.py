"""How the HTTP API answers: who may ask, what is taken, what is shown. No trigger of its own."""
