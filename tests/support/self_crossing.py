"""Shapes that are bad for whoever works on them."""

import numpy as np
import shapely


def zigzags(count, width, height):
    """One ring of two zigzags of so many vertices each, one up and down and one to and fro: most segments cross."""
    across, down = np.linspace(0, width, count), np.linspace(0, height, count)
    odd = np.arange(count) % 2
    upright, lying = np.column_stack([across, odd * height]), np.column_stack([odd * width, down])
    return shapely.Polygon(np.concatenate([upright, lying[::-1]]))


def comb(count, size=10_000):
    """Valid, but the bounding boxes of all teeth meet."""
    at = np.linspace(0, size / 10, count)
    teeth = np.column_stack([at, -at]) + (np.arange(count) % 2 * size)[:, None]
    return shapely.Polygon([*teeth, (size / 10 + 0.5, -size / 10 - 1), (-1, -2)])


def crossed(shape):
    """Two far vertices of a border are exchanged."""
    vertices = shapely.get_coordinates(shape)
    vertices[[5000, 9000]] = vertices[[9000, 5000]]
    return shapely.Polygon(vertices)


def nested(count):
    """Valid: squares one in another."""
    sides = 2.0 * np.arange(1, count + 1)
    return shapely.MultiPolygon(
        [shapely.box(-side, -side, side, side) - shapely.box(1 - side, 1 - side, side - 1, side - 1) for side in sides]
    )
