"""The transforms, one file each; they register themselves with `@transform`."""
