"""The networks: one file per architecture, named by its file; see `weight_atlas.networks`."""
