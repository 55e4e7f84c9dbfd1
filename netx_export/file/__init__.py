"""The NetX HDF5 file: schema, reader, writer, and each kind's two directions side by side."""
