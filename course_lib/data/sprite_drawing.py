"""How a sprite is drawn: all creatures at once, in arrays whose first axis counts them."""

import tomllib

import numpy as np

from .shipped import shipped

SIZE = 16  # pixels, a sprite's height and width
SOURCE = tomllib.loads(shipped("sprites.toml").read_text("utf-8"))

_COLOURS = list(SOURCE["palette"])
_CANVAS = 32  # pixels: a creature is drawn in the middle of a large canvas, and cut out when its size is known
_TOP = 10  # the row of the canvas in which bodies begin
_ROOM = SIZE - 2  # what the outline leaves of a sprite
# A pixel of the canvas says what is painted, as a place in this string; which colour that is, the coats decide later.
_PAINTS = ".bsladk" + "".join(SOURCE["fixed"])
_BASE, _SHADOW, _LIGHT, _SECOND, _BLUSH, _INK, _WHITE = (_PAINTS.index(paint) for paint in "bslakow")
_IN_SHADOW = np.array([_PAINTS.index({"b": "s", "a": "d", "w": "t"}.get(paint, paint)) for paint in _PAINTS])
_PATTERNS = ["plain", "belly", "spots", "stripes", "mask", "shine", "socks", "panel", "cap"]
_ON_AXIS = ["sprout", "leaf", "mohawk", "hat", "crown", "bow", "spikes"]  # worn in the middle of the head
_DARK = ["red", "blue", "purple", "brown"]  # coats on which ink cannot be seen
_SPECIES, _COATS = list(SOURCE["species"].values()), list(SOURCE["coats"])


class _Stencils:
    """All drawings of one part, padded to one size: paints (kinds, h, w); `high` and `wide` (kinds,) are their own."""

    def __init__(self, drawings: dict, hang: bool = True):
        rows = [[] if drawing == "." else drawing.split() for drawing in drawings.values()]
        self.names = list(drawings)
        self.high = np.array([len(drawn) for drawn in rows])
        self.wide = np.array([max(map(len, drawn), default=0) for drawn in rows])
        self.paints = np.zeros((len(rows), self.high.max(), self.wide.max()), np.uint8)
        for paints, drawn in zip(self.paints, rows, strict=True):
            for y, row in enumerate(drawn, 0 if hang else len(paints) - len(drawn)):
                paints[y, : len(row)] = [_PAINTS.index(paint) for paint in row]
        self.joint = (self.paints[:, :, 0] > 0).argmax(1)  # the row that touches the body, for parts at its side


# Ears and tails stand on their last row, the other parts hang from their first.
_PARTS = {p: _Stencils(SOURCE[p], p not in ("ears", "tail")) for p in ("ears", "arms", "feet", "tail", "eyes", "mouth")}


class Sketch:
    """n creatures being drawn, one step after the other, on `canvas` (n, 32, 32)."""

    def __init__(self, n, chances):
        self.n, self.chances, self.each = n, chances, np.arange(n)
        self.canvas = np.zeros((n, _CANVAS, _CANVAS), np.uint8)
        self.y = np.arange(_CANVAS)
        self._choose()
        self._shape_body()
        self._add_limbs()
        self._fill_body()
        self._shine_light()
        self._outline()
        self._draw_face()

    def _trait(self, name):
        return np.array([species[name] for species in _SPECIES])[self.species]

    def _choose(self):
        """Species, parts, coats and size: the body takes what its species has and its parts leave room for."""
        chances = self.chances
        self.species = chances.whole(0, np.full(self.n, len(_SPECIES) - 1))
        names = {part: stencils.names for part, stencils in _PARTS.items()} | {"pattern": _PATTERNS}
        self.kind = {k: chances.word(self.species, [s[k] for s in _SPECIES], names[k]) for k in names}
        self.coat = chances.whole(0, np.full(self.n, len(_COATS) - 1))
        self.second = chances.word(self.coat, [friends for _, friends in SOURCE["coats"].values()], _COATS)
        arms, tail = self._wide("arms"), self._wide("tail")
        above = np.maximum(self._high("ears") - 2, 0)  # ears reach two rows down into the head
        sizes = []
        for name, room in (("width", arms + np.maximum(arms, tail)), ("height", above + self._high("feet"))):
            least, most = np.minimum(self._trait(name).T, _ROOM - room)
            sizes.append(chances.whole(least, most))
        self.width, self.height = sizes
        self.bottom = _TOP + self.height - 1
        # The axis is a column where the width is odd, and lies between two where it is even.
        self.odd = self.width % 2
        self.right = np.full(self.n, _CANVAS // 2)  # the first column of the right half
        self.left = self.right - 1 + self.odd
        self.single = np.isin(self.kind["eyes"], [_PARTS["eyes"].names.index(eye) for eye in ("one", "orb")])
        one_eye = np.where(self.odd, *(_PARTS["eyes"].names.index(eye) for eye in ("one", "orb")))
        self.kind["eyes"] = np.where(self.single, one_eye, self.kind["eyes"])

    def _wide(self, part):
        return _PARTS[part].wide[self.kind[part]]

    def _high(self, part):
        return _PARTS[part].high[self.kind[part]]

    def _has(self, pattern):
        return (self.kind["pattern"] == _PATTERNS.index(pattern))[:, None, None]

    def _shape_body(self):
        """`body` (n, 32, 32), bool: each row as wide as the profile says, which is each creature's own."""
        at = np.linspace(0, 1, 7)
        points = [np.interp(at, np.linspace(0, 1, len(s["profile"])), s["profile"]) for s in _SPECIES]
        points = np.array(points)[self.species] * np.stack([self.chances.between(0.87, 1.13) for _ in at], 1)
        points /= points.max(1, keepdims=True)
        self.depth = (self.y - _TOP) / (self.height[:, None] - 1)  # (n, rows), 0 is the body's top and 1 its bottom
        t = np.clip(self.depth, 0, 1) * 6
        i = np.minimum(t.astype(int), 5)
        e = self.each[:, None]
        half = (points[e, i] * (1 - t + i) + points[e, i + 1] * (t - i)) * self.width[:, None] / 2
        half[(self.y < _TOP) | (self.y > self.bottom[:, None])] = 0
        self.u = self.y - (self.left + self.right)[:, None] / 2  # (n, columns), pixels from the axis
        self.body = np.abs(self.u)[:, None, :] < half[:, :, None]
        self.reach = (self.body.sum(2) + self.odd[:, None]) // 2  # (n, rows): columns of the body's right half

    def _reach_at(self, row):
        return self.reach[self.each, np.clip(row, _TOP, self.bottom)]

    def _stamp(self, paints, row, column, side, within=None):
        """Draw (n, h, w) with its upper inner corner `column` columns from the axis; `side` is 1, right, or −1."""
        h, w = paints.shape[1:]
        start = self.right + column if side > 0 else self.left - column
        rows, columns = row[:, None, None] + np.arange(h)[:, None], start[:, None, None] + side * np.arange(w)
        at = self.each[:, None, None], rows, columns
        paints = paints if within is None else paints * within[at]
        self.canvas[at] = np.where(paints > 0, paints, self.canvas[at])

    def _stamp_both(self, paints, row, column, within=None):
        for side in (1, -1):
            self._stamp(paints, row, column, side, within)

    def _add_limbs(self):
        chances, bottom = self.chances, self.bottom
        paints = {part: _PARTS[part].paints[self.kind[part]] for part in _PARTS}
        rim = np.maximum(self._reach_at(_TOP + 1 + 0 * bottom) - self._wide("ears"), 0)
        centred = np.isin(self.kind["ears"], [_PARTS["ears"].names.index(name) for name in _ON_AXIS])
        self._stamp_both(paints["ears"], _TOP + 2 - paints["ears"].shape[1] + 0 * bottom, np.where(centred, 0, rim))
        row = np.minimum(_TOP + np.round(self.height * chances.between(0.3, 0.6)).astype(int), bottom - 1)
        self._stamp_both(paints["arms"], row, self._reach_at(row + _PARTS["arms"].joint[self.kind["arms"]]))
        under = np.arange(paints["feet"].shape[2]) < self._reach_at(bottom)[:, None]  # no feet beside the body
        self._stamp_both(paints["feet"] * under[:, None, :], bottom + 1, 0 * bottom)
        to_the_right = chances.between(0, 1) < 0.5
        for side in (1, -1):
            tail = paints["tail"] * (to_the_right == (side > 0))[:, None, None]
            self._stamp(tail, bottom + 1 - tail.shape[1], self._reach_at(bottom), side)

    def _fill_body(self):
        chances, body, depth = self.chances, self.body, self.depth[:, :, None]
        across = np.abs(2 * self.u / self.width[:, None])[:, None, :]  # 0 on the axis, 1 at the widest row's end
        size = chances.between(0.8, 1.25)[:, None, None]
        self.eye_row = _TOP + np.round(self._trait("face") * self.height + chances.between(-0.3, 0.3)).astype(int)
        below_eyes = (self.y - self.eye_row[:, None])[:, :, None]
        striped = (self.y - self.bottom[:, None])[:, :, None] % 3 == 1
        marks = {
            "belly": (across / 0.6) ** 2 + ((depth - 0.9) / 0.38) ** 2 < size,
            "stripes": striped & (depth > 0.5) | (depth < 0.1) & (across < 0.3),
            "mask": (across / 0.75) ** 2 + ((below_eyes - 1) / 2.6) ** 2 < size,
            "socks": depth > 0.9 - 0.3 * size,
            "panel": (across < 0.45) & (depth > 0.7),
            "cap": depth < 0.52,
        }
        self.canvas[body] = _BASE
        for name, mark in marks.items():
            self.canvas[body & mark & self._has(name)] = _SECOND
        for _ in range(4):
            row, column = chances.whole(_TOP, self.bottom), chances.whole(0, self.width // 2)
            spot = (
                np.abs(self.y - row[:, None])[:, :, None] + np.abs(np.abs(self.u) - column[:, None])[:, None, :] < 1.3
            )
            self.canvas[body & spot & self._has("spots")] = _SECOND
            self.canvas[body & spot & self._has("shine")] = _LIGHT
            self.canvas[body & spot & self._has("cap") & marks["cap"]] = _WHITE
        # A freckle, on one side only: even twins can be told apart.
        row, column = chances.whole(_TOP + 1, self.bottom), self.left - self.width // 2 + 1
        column = chances.whole(column, column + self.width - 1)
        self.canvas[self.each, row, column] = np.where(
            body[self.each, row, column], _SHADOW, self.canvas[self.each, row, column]
        )

    def _shine_light(self):
        """From the upper left, as on a ball: a shadow along the lower right, a glint on the forehead."""
        x, y = (2 * self.u / self.width[:, None])[:, None], 2 * self.depth[:, :, None] - 1  # −1 to 1 over the body
        radius = self.chances.between(1.1, 1.4)[:, None, None]
        shadow = self.body & ((x + 0.3) ** 2 + (y + 0.3) ** 2 > radius**2) & ((x > 0) | (y > 0.2))
        self.canvas = np.where(shadow, _IN_SHADOW[self.canvas], self.canvas).astype(np.uint8)
        glint = ((x + 0.45) ** 2 + (y + 0.6) ** 2 < 0.12) & (self.y < self.eye_row[:, None])[:, :, None]
        self.canvas[self.body & glint & (self.canvas == _BASE)] = _LIGHT

    def _outline(self):
        """Ink on every empty pixel beside a painted one; lines of ink have none."""
        solid = (self.canvas > 0) & (self.canvas != _INK)
        near = np.zeros_like(solid)
        for axis in (1, 2):
            near |= np.roll(solid, 1, axis) | np.roll(solid, -1, axis)
        self.canvas[near & (self.canvas == 0)] = _INK

    def _draw_face(self):
        chances, eyes = self.chances, _PARTS["eyes"]
        space = np.minimum(self._reach_at(self.eye_row), self._reach_at(self.eye_row + 1))
        # A face with room for no more has small eyes: they need the axis free, and some skin before the outline.
        small = np.where(space > 3, eyes.names.index("shiny"), eyes.names.index("dot"))
        self.kind["eyes"] = np.where(~self.single & (self._wide("eyes") > space - 2), small, self.kind["eyes"])
        wide, high = self._wide("eyes"), self._high("eyes")
        # Ink and white change places on a dark coat, where ink is not seen, and on a white one.
        paints = eyes.paints[self.kind["eyes"]]
        around = np.where(self._has("mask")[:, 0, 0], self.second, self.coat)
        more_ink = (paints == _INK).sum((1, 2)) > (paints == _WHITE).sum((1, 2))
        swap = np.where(
            more_ink, np.isin(around, [_COATS.index(coat) for coat in _DARK]), around == _COATS.index("white")
        )
        exchanged = np.where(paints == _INK, _WHITE, np.where(paints == _WHITE, _INK, paints))
        paints = np.where(swap[:, None, None], exchanged, paints)
        gap = np.where(self.single, -(wide // 2), chances.whole(1, np.minimum(2 + self.odd, space - wide - 1)))
        lid = (
            np.where(swap, _WHITE, _INK)[:, None, None]
            * (np.arange(eyes.high.max()) == (high // 2)[:, None])[:, :, None]
        )
        lid = lid * (np.arange(eyes.wide.max()) < wide[:, None])[:, None, :]
        winks = ((chances.between(0, 1) < 0.06) & ~self.single)[:, None, None]
        self._stamp(paints, self.eye_row, gap, 1, self.body)
        # Not mirrored, but moved: the light falls on both eyes from the same side.
        self._stamp(np.where(winks, lid, paints), self.eye_row, self.left - self.right - gap - wide + 1, 1, self.body)
        under, mouth = self.eye_row + high, _PARTS["mouth"].paints[self.kind["mouth"]]
        # Between the eyes, below them, or one row lower still: the nearest where it does not grow together with them.
        apart = gap - self._wide("mouth")
        lower = np.where(apart > 0, chances.whole(-1, 0 * gap), np.where((apart == 0) & ~self.single, 0, 1))
        row = under + lower
        fits = (row + self._high("mouth") <= self.bottom + 1)[:, None, None]
        blush = np.full((self.n, 1, 1), _BLUSH)
        cheek = gap + wide - 1
        blushes = (
            (chances.between(0, 1) < 0.45) & (cheek < self._reach_at(under)) & (under < self.bottom) & ~self.single
        )
        self._stamp_both(blush * blushes[:, None, None], under, cheek, self.body)
        self._stamp_both(mouth * fits, row, 0 * row, self.body)

    def finished(self):
        """(n, 16, 16) colours of the palette, each creature near the middle."""
        coats = np.array([[_COLOURS.index(c) for c in colours.split()] for colours, _ in SOURCE["coats"].values()])
        colours = np.zeros((self.n, len(_PAINTS)), np.uint8)
        for paint, whose, place in zip(
            "bsladk", (*[self.coat] * 3, *[self.second] * 2, self.coat), (1, 0, 2, 1, 0, 3), strict=True
        ):
            colours[:, _PAINTS.index(paint)] = coats[whose, place]
        for paint, name in SOURCE["fixed"].items():
            colours[:, _PAINTS.index(paint)] = _COLOURS.index(name)
        windows = []
        for line in ((self.canvas > 0).any(2), (self.canvas > 0).any(1)):  # rows, then columns that are not empty
            first, size = line.argmax(1), _CANVAS - line[:, ::-1].argmax(1) - line.argmax(1)
            before = np.clip((SIZE - size) // 2 + self.chances.whole(-1, np.ones(self.n, int)), 0, SIZE - size)
            windows.append((first - before)[:, None] + np.arange(SIZE))
        rows, columns = windows
        each = self.each[:, None, None]
        return colours[each, self.canvas[each, rows[:, :, None], columns[:, None, :]]]
