use super::*;
use crate::io::{Clock, FileKind, Rng};

const ID: FileId = FileId::new(FileKind::Wal, 1);

fn published(disk: &SimDisk, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.create(ID).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync_data().unwrap();
    disk.publish(ID).unwrap();
    disk.sync_dir().unwrap();
    file
}

#[test]
fn synced_bytes_under_a_synced_name_survive_every_power_loss() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        published(&disk, b"kept");
        disk.crash();
        disk.restart();
        assert_eq!(disk.peek(ID).unwrap(), b"kept");
    }
}

#[test]
fn unsynced_writes_and_names_meet_every_fate() {
    let mut fates = Hits::new();
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        published(&disk, b"old");
        disk.open(ID).unwrap().write_at(0, &[7; 2048]).unwrap();
        let other = FileId::new(FileKind::Segment, 2);
        disk.create(other).unwrap();
        disk.publish(other).unwrap();
        disk.crash();
        disk.restart();
        for (event, count) in disk.hits() {
            *fates.entry(event).or_default() += count;
        }
    }
    for event in [
        Event::WriteKept,
        Event::WriteDropped,
        Event::WriteTorn,
        Event::WriteZeroed,
        Event::NameKept,
        Event::NameDropped,
    ] {
        assert!(fates.contains_key(&event), "never happened event={event}");
    }
}

#[test]
fn a_failed_sync_makes_pages_clean_that_the_disk_does_not_have() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = published(&disk, b"aaaa");
        file.write_at(0, b"bbbb").unwrap();
        disk.set_plan(FaultPlan {
            fail_at: Some((disk.ops() + 1, Fault::Eio)),
            ..FaultPlan::default()
        });
        file.sync_data().unwrap_err();
        assert_eq!(disk.peek(ID).unwrap(), b"bbbb", "reads show the cache");
        file.sync_data().unwrap();
        disk.crash();
        disk.restart();
        lost += u32::from(disk.peek(ID).unwrap() == b"aaaa");
    }
    assert!(
        lost > 10,
        "a second sync must not heal the first one lost={lost}"
    );
}

#[test]
fn a_kill_loses_nothing_and_ends_every_handle() {
    let disk = SimDisk::new(1);
    let file = published(&disk, b"a");
    file.write_at(1, b"b").unwrap();
    disk.kill();
    assert!(disk.list().is_err());
    disk.restart();
    assert_eq!(disk.peek(ID).unwrap(), b"ab");
    assert!(file.len().is_err(), "handle of the dead process");
}

#[test]
fn names_are_create_only_and_temporary_files_do_not_outlive_the_process() {
    let disk = SimDisk::new(1);
    published(&disk, b"a");
    disk.create(ID).unwrap();
    assert_eq!(
        disk.publish(ID).unwrap_err().kind(),
        io::ErrorKind::AlreadyExists
    );
    disk.kill();
    disk.restart();
    assert_eq!(
        disk.discard(ID).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    assert_eq!(disk.list().unwrap(), [ID]);
}

#[test]
fn a_write_beyond_the_quota_is_short() {
    let disk = SimDisk::new(1);
    disk.set_plan(FaultPlan {
        quota: Some(10),
        ..FaultPlan::default()
    });
    let file = disk.create(ID).unwrap();
    file.write_at(0, &[1; 10]).unwrap();
    let error = file.write_at(10, &[1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    file.write_at(0, &[2; 10]).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 0);
    disk.discard(ID).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 10);
}

#[test]
fn clock_and_rng_follow_orders() {
    let clock = SimClock::new(5);
    clock.advance(10);
    clock.jump_to(-3);
    assert_eq!((clock.wall_ns(), clock.mono_ns()), (-3, 10));
    let (mut a, mut b) = ([0; 13], [0; 13]);
    SimRng::new(9).fill(&mut a);
    SimRng::new(9).fill(&mut b);
    assert_eq!(a, b);
    assert_ne!(a, [0; 13]);
}

/// What the file has when a call of it takes long, and what is there after the machine ended meanwhile.
#[test]
fn a_stuck_call_may_be_done_or_not_when_the_machine_ends() {
    for is_done in [false, true] {
        let disk = SimDisk::new(3);
        let file = published(&disk, b"old");
        file.write_at(0, b"new").unwrap();
        disk.set_plan(FaultPlan {
            stuck: Some(Stuck {
                call: disk.ops() + 1,
                ns: 40,
                is_done,
            }),
            names_in_order: true,
            ..FaultPlan::default()
        });
        let (other, before) = (disk.clone(), disk.ops());
        disk.meanwhile(Some(Arc::new(move |wait: Wait| {
            assert_eq!(wait.point, Point::of(Op::SyncData, FileKind::Wal));
            assert!(wait.is_stuck && wait.is_done == is_done);
            assert_eq!(other.clock().mono_ns(), 40);
            // Whoever does not wait goes on, and nothing that he does is slow.
            assert_eq!(other.list().unwrap(), [ID]);
            assert_eq!(other.ops() - before, 1 + u64::from(is_done));
            other.crash();
            other.restart();
        })));
        file.sync_data().unwrap_err();
        let there = disk.peek(ID).unwrap();
        assert!(!is_done || there == b"new", "{there:?}");
        let hits = disk.hits();
        let point = Point::of(Op::SyncData, FileKind::Wal);
        assert_eq!(hits[&Event::EndedStuck(point)], 1);
        // It was a call of a process that is gone: the disk of the next one does not see it.
        assert_eq!(
            hits.get(&Event::Call(point)),
            Some(&(1 + u64::from(is_done)))
        );
    }
}

#[test]
fn slow_calls_take_time_and_do_their_work() {
    let disk = SimDisk::new(1);
    disk.set_plan(FaultPlan {
        slow: Some((2, 1_000)),
        ..FaultPlan::default()
    });
    let mut file = published(&disk, b"a");
    for n in 0..100 {
        file.write_at(n, b"b").unwrap();
        file = disk.open(ID).unwrap();
    }
    assert_eq!(disk.peek(ID).unwrap(), [b'b'; 100]);
    let slow = disk
        .hits()
        .into_iter()
        .filter(|(event, _)| matches!(event, Event::Slow(_)));
    let calls: u64 = slow.map(|(_, count)| count).sum();
    assert!((60..=140).contains(&calls), "{calls}");
    let took = disk.clock().mono_ns();
    assert!((calls..=calls * 1_000).contains(&took), "{took}");
}

/// A file of the tree is there after a power loss if it, its name and all directories above it were synced; a lost
/// directory takes what is in it along.
#[test]
fn a_file_in_the_tree_survives_once_every_name_above_it_is_synced() {
    use std::path::Path;
    let (path, dirs) = (Path::new("a/b/file"), ["a/b", "a", ""]);
    for synced in 0..=dirs.len() {
        let mut lost = 0;
        for seed in 0..40 {
            let disk = SimDisk::new(seed);
            let tree = disk.tree();
            tree.make_dirs(Path::new("a/b")).unwrap();
            let file = tree.create(path).unwrap();
            file.write_at(0, b"kept").unwrap();
            file.sync_data().unwrap();
            for dir in &dirs[..synced] {
                tree.sync_dir(Path::new(dir)).unwrap();
            }
            disk.crash();
            disk.restart();
            assert!(
                tree.names(Path::new("")).is_err(),
                "of a process that is gone"
            );
            let tree = disk.tree();
            match tree.open(path) {
                Ok(file) => {
                    let mut bytes = [0; 4];
                    file.read_at(0, &mut bytes).unwrap();
                    assert_eq!(&bytes, b"kept");
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::NotFound);
                    lost += 1;
                }
            }
        }
        assert_eq!(lost > 0, synced < dirs.len(), "{synced} {lost}");
    }
}

/// Between two directories a move may be undone, half done either way, or done.
#[test]
fn a_move_that_nothing_synced_meets_every_fate() {
    use std::path::Path;
    let mut fates = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let disk = SimDisk::new(seed);
        let tree = disk.tree();
        for dir in ["from", "to"] {
            tree.make_dirs(Path::new(dir)).unwrap();
        }
        let (from, to) = (Path::new("from/x"), Path::new("to/x"));
        tree.create(from).unwrap();
        for dir in ["", "from", "to"] {
            tree.sync_dir(Path::new(dir)).unwrap();
        }
        assert!(tree.rename_new(from, to).unwrap());
        disk.crash();
        disk.restart();
        let tree = disk.tree();
        fates.insert((tree.facts(from).is_ok(), tree.facts(to).is_ok()));
    }
    assert_eq!(fates.len(), 4, "{fates:?}");
}
