"""Points on the earth: reading ``_geo``, distances.

What always holds: latitude before longitude, degrees; distances in metres on a sphere of 6,371,000 m. Source:
``ranking.md`` sections 4.8 and 5. Who calls it: entries, filters, sort.
"""

import math
from typing import Any, NamedTuple

from miroir.node.protocol.errors import ApiError
from schemas.meilisearch_values import show_json

EARTH_RADIUS_M = 6_371_000


class Point(NamedTuple):
    """A place: degrees."""

    lat: float
    lng: float


def read_point(value: Any) -> Point | None:
    """Return the point of a ``_geo`` value, None where there is none."""
    if not isinstance(value, dict):
        return None
    lat, lng = _number(value.get("lat")), _number(value.get("lng"))
    return None if lat is None or lng is None else Point(lat, lng)


def check_geo(value: Any, document_id: str, index_uid: str) -> None:
    """Refuse a ``_geo`` value that is neither null nor a point."""
    if value is None or read_point(value) is not None:
        return
    shown = f"the document with the id: `{show_json(document_id)}`"
    raise ApiError("invalid_document_geo_field", f"Index `{index_uid}`: {_complaint(value, shown)}")


def _complaint(value: Any, shown: str) -> str:
    if not isinstance(value, dict):
        expected = "Was expecting an object with the `_geo.lat` and `_geo.lng` fields but instead got"
        return f"The `_geo` field in {shown} is not an object. {expected} `{show_json(value)}`."
    lacks = [name for name, key in (("latitude", "lat"), ("longitude", "lng")) if key not in value]
    if len(lacks) > 1:
        return f"Could not find latitude nor longitude in {shown}. Was expecting `_geo.lat` and `_geo.lng` fields."
    if lacks:
        key = "lat" if lacks[0] == "latitude" else "lng"
        return f"Could not find {lacks[0]} in {shown}. Was expecting a `_geo.{key}` field."
    bad = [name for name, key in (("latitude", "lat"), ("longitude", "lng")) if _number(value[key]) is None]
    if len(bad) > 1:
        found = f"`{show_json(value['lat'])}` and `{show_json(value['lng'])}`"
        return (
            f"Could not parse latitude nor longitude in {shown}. Was expecting finite numbers but instead got {found}."
        )
    key = "lat" if bad[0] == "latitude" else "lng"
    found = show_json(value[key])
    return f"Could not parse {bad[0]} in {shown}. Was expecting a finite number but instead got `{found}`."


def distance_m(left: Point, right: Point) -> float:
    """Return the haversine distance in metres, rounded to millimetres."""
    lat1, lat2 = math.radians(left.lat), math.radians(right.lat)
    half_lat = math.sin((lat2 - lat1) / 2)
    half_lng = math.sin(math.radians(right.lng - left.lng) / 2)
    chord = half_lat * half_lat + math.cos(lat1) * math.cos(lat2) * half_lng * half_lng
    return round(2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord))), 3)


def plain_number(number: float) -> str:
    """Return a coordinate as messages show it: ``3`` for 3.0, and a name for what is no number."""
    if math.isnan(number):
        return "NaN"
    return str(int(number)) if number.is_integer() else repr(number)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
