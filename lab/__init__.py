"""The lab: a digital twin of the architecture that Coldsite protects. It is never deployed."""
