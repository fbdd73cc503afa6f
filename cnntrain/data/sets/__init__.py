"""The data sets, one file each; they register themselves with `@dataset`."""
