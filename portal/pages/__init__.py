"""The portal's pages, two or three handlers a module. Handlers are plain functions that run in worker threads."""
