"""Objects on this machine: plain whole files under the name of their digest."""
