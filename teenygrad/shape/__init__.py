from teenygrad.shape import symbolic  # noqa: F401
