"""The loss around trained networks: on planes of weights, and the curvature at their starts and ends."""
