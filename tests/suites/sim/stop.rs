//! Clean stops: what the next open finds.

use obsrv_tests::sim::{Flaw, World};

fn stored(world: &mut World, ids: &[&str]) {
    for id in ids {
        let body = format!("score|marks|{id}|1||1||");
        world.store(1, &body).unwrap().unwrap();
    }
}

fn replayed(world: &mut World) -> u64 {
    world.kill();
    world.open().unwrap();
    world.check().unwrap();
    world.engine().unwrap().stats().replayed
}

/// F2: a log without a record above the watermark is the mark of a clean stop.
#[test]
fn a_clean_stop_leaves_nothing_to_replay_and_the_next_open_says_so() {
    let mut world = World::new(1, Flaw::None);
    world.open().unwrap();
    stored(&mut world, &["a", "b", "c"]);
    world.engine().unwrap().start().unwrap().stop();
    assert_eq!(replayed(&mut world), 0);
    stored(&mut world, &["d", "e"]);
    assert_eq!(replayed(&mut world), 2, "without a stop");
    // It is not written again because it was read again.
    assert_eq!(replayed(&mut world), 2);
    world.engine().unwrap().start().unwrap().stop();
    assert_eq!(replayed(&mut world), 0);
}
