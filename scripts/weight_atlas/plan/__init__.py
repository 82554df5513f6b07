"""From a config to cells: what is asked for, checked and resolved, without importing torch."""
