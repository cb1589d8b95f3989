"""scratch"""

from tests.fault.invariants import assert_invariants
from tests.fault.world import World


def test_clean(world: World) -> None:
    run = world.clone.start("release", "--skip-scan", "--skip-smoke")
    ran = run.wait()
    print(ran.text)
    print([(round(t, 2), l) for t, l in run.times])
    assert ran.code == 0
    assert_invariants(world)
    world.clone.commit("one")
    run = world.clone.start("release", "--skip-scan", "--skip-smoke")
    ran = run.wait()
    print([(round(t, 2), l) for t, l in run.times])
    assert ran.code == 0
    assert_invariants(world)
