import pytest

from moai.data.drawn.layout import Layout, PlacedObject, Stuff
from moai.data.drawn.render.atlas import sprites_of
from moai.data.drawn.scene.relations import relations_of
from tests.data.drawn.scenes import object_box

SIDE = 384


def thing(label, x, bottom, size, pose=None, angle=0.0, flipped=False):
    """An upright sprite whose box has its middle at x and its lower edge at `bottom`, in pixels."""
    sprite = next(s for s in sprites_of(label) if pose is None or s.pose == pose)
    item = PlacedObject(label, sprite.index, (x, 200.0), size, angle, 1.0, flipped, (0, 0, 0, 0))
    _, _, _, low = object_box(item, SIDE, SIDE)
    item.center = (x, 200.0 + bottom - low * SIDE)
    item.box = object_box(item, SIDE, SIDE)
    return item


def band(label, top, bottom):
    return Stuff(label, [(0, top), (1, top), (1, bottom), (0, bottom)], (90, 90, 90), 0)


def told(*objects, stuff=()):
    layout = Layout(0, SIDE, SIDE, list(stuff) or [band(None, 0, 1)], list(objects))
    return [(layout.label_of(s), predicate, layout.label_of(o)) for s, predicate, o in relations_of(layout)]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([("bicycle", 150, 300, 120), ("person", 150, 265, 110, "stand")], ("person", "riding", "bicycle")),
        ([("horse", 150, 300, 130), ("person", 150, 250, 90, "bust")], ("person", "riding", "horse")),
        ([("skateboard", 150, 300, 90), ("person", 150, 285, 110, "stand")], ("person", "riding", "skateboard")),
        ([("couch", 150, 300, 150), ("cat", 140, 265, 70)], ("cat", "sitting on", "couch")),
        ([("chair", 150, 300, 120), ("person", 150, 262, 70, "bust")], ("person", "sitting on", "chair")),
        ([("bed", 150, 300, 150), ("person", 150, 265, 90, "stand", 90.0)], ("person", "lying on", "bed")),
        ([("bed", 150, 300, 150), ("person", 150, 280, 90, "stand")], ("person", "standing on", "bed")),
        ([("dining table", 150, 300, 150), ("cup", 150, 222, 40)], ("cup", "on", "dining table")),
        ([("dog", 150, 300, 110), ("banana", 112, 280, 44)], ("dog", "eating", "banana")),
        ([("cat", 150, 300, 110, "body"), ("teddy bear", 100, 280, 50)], ("cat", "playing with", "teddy bear")),
        ([("person", 150, 300, 140, "run"), ("sports ball", 125, 302, 36)], ("person", "kicking", "sports ball")),
        ([("person", 150, 300, 110, "bust"), ("cup", 195, 280, 40)], ("person", "holding", "cup")),
        ([("person", 150, 300, 110, "bust"), ("baseball bat", 200, 280, 60)], ("person", "swinging", "baseball bat")),
        ([("person", 150, 300, 110, "bust"), ("backpack", 195, 290, 50)], ("person", "carrying", "backpack")),
        ([("person", 150, 300, 110, "bust"), ("hat", 150, 212, 80)], ("person", "wearing", "hat")),
        ([("cat", 250, 300, 90, "body"), ("rabbit", 130, 300, 80, "body")], ("cat", "chasing", "rabbit")),
        ([("dog", 250, 300, 90, "body"), ("pizza", 150, 280, 60)], ("dog", "looking at", "pizza")),
        ([("tree", 150, 300, 120), ("book", 180, 310, 80)], ("book", "in front of", "tree")),
        ([("airplane", 150, 150, 80), ("house", 150, 300, 120)], ("airplane", "flying over", "house")),
        ([("clock", 150, 150, 80), ("book", 150, 250, 80)], ("clock", "over", "book")),
        ([("clock", 100, 200, 80), ("book", 190, 200, 80)], ("clock", "beside", "book")),
    ],
)
def test_two_things(objects, expected):
    found = told(*(thing(*arguments) for arguments in objects))
    assert expected in found
    assert len(found) == 1


@pytest.mark.parametrize(
    ("item", "ground", "expected"),
    [
        (("person", 150, 300, 100, "walk"), "grass", "walking on"),
        (("person", 150, 300, 100, "walk"), "road", "crossing"),
        (("person", 150, 300, 100, "run"), "sand", "running on"),
        (("person", 150, 300, 100, "stand"), "snow", "standing on"),
        (("person", 150, 300, 100, "stand", 90.0), "grass", "lying on"),
        (("cow", 150, 300, 100, "body"), "grass", "standing on"),
        (("car", 150, 300, 100), "road", "driving on"),
        (("car", 150, 300, 100), "pavement", "parked on"),
        (("boat", 150, 300, 100), "sea", "on"),
        (("whale", 150, 300, 100), "sea", "in"),
        (("vase", 150, 300, 100), "floor", "on"),
        (("bird", 150, 120, 80, "fly"), "grass", "flying over"),
    ],
)
def test_a_thing_and_the_ground(item, ground, expected):
    sky = band("sky", 0, 0.5)
    assert told(thing(*item), stuff=[sky, band(ground, 0.5, 1)]) == [(item[0], expected, ground)]


def test_sky_and_wall():
    sky, wall = band("sky", 0, 0.5), band("wall", 0, 0.5)
    assert told(thing("balloon", 150, 150, 80), stuff=[sky, band("grass", 0.5, 1)]) == [("balloon", "in", "sky")]
    assert told(thing("clock", 150, 150, 80), stuff=[wall, band("floor", 0.5, 1)]) == [
        ("clock", "hanging from", "wall")
    ]


def test_nothing_is_said_about_things_far_apart_or_strongly_tilted():
    assert told(thing("cup", 60, 100, 50), thing("book", 300, 350, 60)) == []
    assert told(thing("car", 150, 300, 100, angle=45.0), stuff=[band("road", 0, 1)]) == []


def test_nameless_backdrops_take_part_in_nothing():
    assert told(thing("car", 150, 300, 100)) == []


def test_who_rests_on_furniture_does_not_stand_on_the_floor_too():
    found = told(thing("couch", 150, 300, 150), thing("cat", 140, 265, 70), stuff=[band("floor", 0, 1)])
    assert found == [("cat", "sitting on", "couch"), ("couch", "on", "floor")]


def test_order_of_paint_decides_who_is_in_front():
    tree, book = thing("tree", 150, 300, 120), thing("book", 180, 310, 80)
    assert told(tree, book) == [("book", "in front of", "tree")]
    assert told(book, tree) == [("tree", "in front of", "book")]
