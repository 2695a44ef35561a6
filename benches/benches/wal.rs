//! What a group costs in the log: framing and checksums alone (simulated disk), and with the real
//! write and sync (real disk, in the system's temporary directory).

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use obsrv_benches::generator::{Generator, Options};
use obsrv_wal::io::{Disk, FileKind, RealDisk};
use obsrv_wal::log::{Log, LogOptions};
use obsrv_wal::sim::SimDisk;

const FILE_BYTES: u64 = 64 << 20;
const DATABASE: [u8; 16] = [7; 16];

fn options() -> LogOptions {
    LogOptions {
        kind: FileKind::Wal,
        database: DATABASE,
        file_bytes: FILE_BYTES,
        record_bytes_max: 1 << 20,
    }
}

fn log(disk: &Arc<dyn Disk>) -> Log {
    let recovered = Log::recover(disk, options(), &mut |_| {}).expect("BUG: an empty disk");
    recovered.resume().expect("BUG: an empty disk")
}

/// Appends `bodies` as one group, and forgets old files, as a flush does.
fn group(log: &mut Log, bodies: &[Vec<u8>]) -> u64 {
    for body in bodies {
        log.append(1, &[&[0; 64], body])
            .expect("BUG: the disk has room");
    }
    let durable = log.sync().expect("BUG: the disk works").lsn();
    if log.files() > 2 {
        let trimmed = log.trim(durable).run();
        log.take_trimmed(trimmed);
    }
    durable
}

fn append(c: &mut Criterion) {
    let bodies: Vec<_> = Generator::new(Options::core(1, 4_096))
        .map(|r| r.body)
        .collect();
    let directory = tempfile::tempdir().expect("BUG: a temporary directory");
    let real = RealDisk::open(directory.path()).expect("BUG: a fresh directory");
    let disks: [(&str, Arc<dyn Disk>); 2] = [
        ("framing only", SimDisk::new(1).handle()),
        ("write and sync", Arc::new(real)),
    ];
    let mut bench = c.benchmark_group("wal");
    for (name, disk) in disks {
        let mut log = log(&disk);
        for records in [1, 8, 24] {
            let some = bodies.get(..records).expect("BUG: enough bodies");
            let bytes = some.iter().map(Vec::len).sum::<usize>();
            bench.throughput(Throughput::Bytes(
                u64::try_from(bytes).expect("BUG: 64 bits"),
            ));
            bench.bench_function(format!("{name}, group of {records} requests"), |b| {
                b.iter(|| group(&mut log, some));
            });
        }
    }
    bench.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
