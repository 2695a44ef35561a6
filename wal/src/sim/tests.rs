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
fn mapping_past_the_end_is_refused_before_anything_is_allocated() {
    let disk = SimDisk::new(1);
    published(&disk, b"abc");
    assert_eq!(&disk.map_sealed(ID, 1, 2).unwrap()[..], b"bc");
    assert!(disk.map_sealed(ID, 2, 2).is_err());
    assert!(disk.map_sealed(ID, 1, usize::MAX).is_err());
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
