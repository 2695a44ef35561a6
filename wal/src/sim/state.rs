//! The simulated directory: names, files, and the one place where calls are counted and fail.

use std::collections::BTreeMap;
use std::io;

use super::fault::{Event, Fault, FaultPlan, Hits, Injected, Op, Point};
use super::file::Inode;
use super::rng::Stream;
use super::tree::Names;
use crate::io::FileId;

/// What a name points to.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    durable: Option<u64>,
    view: Option<u64>,
}

/// A publish (some inode) or a remove (none) that no `sync_dir` covers.
#[derive(Clone, Copy, Debug)]
struct NameChange {
    id: FileId,
    inode: Option<u64>,
}

/// Whether a call does its work, or what a failing call may leave of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Whole,
    Partly(Fault),
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) rng: Stream,
    pub(super) plan: FaultPlan,
    pub(super) hits: Hits,
    pub(super) injected: Injected,
    pub(super) ops: u64,
    pub(super) hash: u64,
    /// Handles of an earlier epoch are dead.
    pub(super) epoch: u64,
    pub(super) down: bool,
    inodes: BTreeMap<u64, Inode>,
    inode_next: u64,
    names: BTreeMap<FileId, Slot>,
    names_pending: Vec<NameChange>,
    temps: BTreeMap<FileId, u64>,
    /// Files that are in directories.
    pub(super) tree: Names,
}

const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

pub(super) fn powered_off() -> io::Error {
    io::Error::other("simulated machine is down")
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Stream::new(seed),
            plan: FaultPlan::default(),
            hits: Hits::new(),
            injected: Injected::default(),
            ops: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            epoch: 0,
            down: false,
            inodes: BTreeMap::new(),
            inode_next: 0,
            names: BTreeMap::new(),
            names_pending: Vec::new(),
            temps: BTreeMap::new(),
            tree: Names::default(),
        }
    }

    pub(super) fn hit(&mut self, event: Event) {
        *self.hits.entry(event).or_default() += 1;
    }

    fn log(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(FNV_PRIME);
    }

    /// Runs one call: counts it, logs it, and decides whether it works, fails or is the last one.
    pub(super) fn call<T>(
        &mut self,
        point: Point,
        arguments: &[u64],
        act: impl FnOnce(&mut Self, How) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.down {
            return Err(powered_off());
        }
        self.ops += 1;
        self.hit(Event::Call(point));
        self.log(point.op as u64);
        for argument in arguments {
            self.log(*argument);
        }
        if self.plan.crash_at == Some(self.ops) {
            self.hit(Event::PowerLoss(point));
            self.injected.power_losses += 1;
            self.last_call(act);
            self.lose_power();
            return Err(powered_off());
        }
        if self.plan.kill_at == Some(self.ops) {
            self.hit(Event::Killed(point));
            self.injected.kills += 1;
            self.last_call(act);
            self.kill();
            return Err(powered_off());
        }
        if let Some(fault) = self.fault(point.op) {
            self.hit(Event::Failed(point, fault));
            self.injected.failures += 1;
            self.log(fault as u64 + 1);
            // The part that was done, if any, is what matters: the caller sees the planned error.
            drop(act(self, How::Partly(fault)));
            return Err(fault.error());
        }
        let result = act(self, How::Whole);
        self.log(u64::from(result.is_ok()));
        result
    }

    /// The call during which the machine or process goes down: not begun, half done or done.
    fn last_call<T>(&mut self, act: impl FnOnce(&mut Self, How) -> io::Result<T>) {
        match self.rng.below(3) {
            0 => {}
            1 => drop(act(self, How::Partly(Fault::Eio))),
            _ => drop(act(self, How::Whole)),
        }
    }

    fn fault(&mut self, op: Op) -> Option<Fault> {
        if let Some((at, fault)) = self.plan.fail_at
            && at == self.ops
        {
            return Some(fault);
        }
        if let Some((from, calls)) = self.plan.refuse_reads
            && op == Op::ReadAt
            && (from..from.saturating_add(calls)).contains(&self.ops)
        {
            return Some(Fault::Eio);
        }
        let rng = &mut self.rng;
        self.plan
            .odds
            .iter()
            .find(|(on, _, one_in)| *on == op && *one_in != 0 && rng.below(*one_in) == 0)
            .map(|(_, fault, _)| *fault)
    }

    /// Whether these bytes of a file may be read.
    pub(super) fn reads(&self, number: u64, offset: u64, len: u64) -> io::Result<()> {
        if let Some((id, at)) = self.plan.refuse_byte
            && self.named(id) == Some(number)
            && (offset..offset.saturating_add(len)).contains(&at)
        {
            return Err(Fault::Eio.error());
        }
        Ok(())
    }

    pub(super) fn kill(&mut self) {
        self.down = true;
        let (inodes, rng) = (&mut self.inodes, &mut self.rng);
        let evicted = inodes
            .values_mut()
            .filter(|_| rng.coin())
            .filter_map(|inode| inode.evict().then_some(()))
            .count();
        for _ in 0..evicted {
            self.hit(Event::Evicted);
        }
    }

    pub(super) fn lose_power(&mut self) {
        self.down = true;
        let changes = std::mem::take(&mut self.names_pending);
        let kept_in_order = self.rng.below(changes.len() as u64 + 1);
        for (at, change) in (0_u64..).zip(changes) {
            let keep = if self.plan.names_in_order {
                at < kept_in_order
            } else {
                self.rng.coin()
            };
            if keep {
                self.names.entry(change.id).or_default().durable = change.inode;
            }
            self.hit(if keep {
                Event::NameKept
            } else {
                Event::NameDropped
            });
        }
        for slot in self.names.values_mut() {
            slot.view = slot.durable;
        }
        let rng = &mut self.rng;
        let mut events = self.tree.lose_power(&mut || rng.coin());
        for inode in self.inodes.values_mut() {
            inode.lose_power(&mut self.rng, &mut |event| events.push(event));
        }
        for event in events {
            self.hit(event);
        }
    }

    /// The machine or process is back: temporary files are gone, old handles are dead.
    pub(super) fn restart(&mut self) {
        self.down = false;
        self.epoch += 1;
        self.plan.crash_at = None;
        self.plan.kill_at = None;
        self.plan.fail_at = None;
        self.plan.refuse_reads = None;
        self.plan.refuse_byte = None;
        self.plan.stuck = None;
        self.temps.clear();
        let names = &mut self.names;
        let (pending, tree) = (&self.names_pending, &self.tree);
        names.retain(|_, slot| slot.durable.is_some() || slot.view.is_some());
        self.inodes.retain(|number, _| {
            names
                .values()
                .any(|slot| [slot.durable, slot.view].contains(&Some(*number)))
                || pending.iter().any(|change| change.inode == Some(*number))
                || tree.holds(*number)
        });
    }

    pub(super) fn create(&mut self, id: FileId, how: How) -> io::Result<u64> {
        if self.temps.contains_key(&id) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        if how != How::Whole {
            return Err(gone());
        }
        let number = self.new_inode();
        self.temps.insert(id, number);
        Ok(number)
    }

    pub(super) fn new_inode(&mut self) -> u64 {
        let number = self.inode_next;
        self.inode_next += 1;
        self.inodes.insert(number, Inode::default());
        number
    }

    /// Whether a failing call to the directory did its work all the same.
    pub(super) fn happens(&mut self, how: How) -> bool {
        how == How::Whole || self.rng.coin()
    }

    fn rename(&mut self, id: FileId, inode: Option<u64>) {
        self.names.entry(id).or_default().view = inode;
        self.names_pending.push(NameChange { id, inode });
    }

    pub(super) fn publish(&mut self, id: FileId, how: How) -> io::Result<()> {
        let inode = *self.temps.get(&id).ok_or_else(gone)?;
        if self.named(id).is_some() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        if self.happens(how) {
            self.temps.remove(&id);
            self.rename(id, Some(inode));
        }
        Ok(())
    }

    pub(super) fn discard(&mut self, id: FileId, how: How) -> io::Result<()> {
        if self.happens(how) {
            let inode = self.temps.remove(&id).ok_or_else(gone)?;
            self.inodes.remove(&inode);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, id: FileId, how: How) -> io::Result<()> {
        self.named(id).ok_or_else(gone)?;
        if self.happens(how) {
            self.rename(id, None);
        }
        Ok(())
    }

    /// What a `sync_dir` is for.
    pub(super) fn waiting(&self) -> Point {
        Point {
            op: Op::SyncDir,
            kind: self.names_pending.last().map(|change| change.id.kind),
        }
    }

    /// The quota stops a write.
    pub(super) fn out_of_space(&mut self) -> io::Error {
        self.hit(Event::QuotaHit);
        self.injected.failures += 1;
        Fault::NoSpace.error()
    }

    pub(super) fn sync_dir(&mut self, how: How) {
        let lose_all = how != How::Whole && self.rng.coin();
        for change in std::mem::take(&mut self.names_pending) {
            if how == How::Whole || (!lose_all && self.rng.coin()) {
                self.names.entry(change.id).or_default().durable = change.inode;
            }
        }
    }

    pub(super) fn named(&self, id: FileId) -> Option<u64> {
        self.names.get(&id).and_then(|slot| slot.view)
    }

    pub(super) fn list(&self) -> Vec<FileId> {
        self.names
            .iter()
            .filter(|(_, slot)| slot.view.is_some())
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn inode(&self, number: u64) -> io::Result<&Inode> {
        self.inodes.get(&number).ok_or_else(gone)
    }

    pub(super) fn inode_mut(&mut self, number: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&number).ok_or_else(gone)
    }

    /// Bytes that can still be written.
    pub(super) fn free_bytes(&self) -> u64 {
        let quota = self.plan.quota;
        quota.map_or(u64::MAX, |quota| quota.saturating_sub(self.used_bytes()))
    }

    /// Bytes of all files.
    pub(super) fn used_bytes(&self) -> u64 {
        let named = self.names.values().filter_map(|slot| slot.view);
        named
            .chain(self.temps.values().copied())
            .chain(self.tree.files())
            .filter_map(|number| self.inodes.get(&number))
            .map(Inode::len)
            .sum()
    }

    /// Changes the bytes of a file without a trace in pending changes.
    pub(super) fn decay(&mut self, id: FileId, change: &mut dyn FnMut(&mut Vec<u8>)) {
        let number = self
            .named(id)
            .expect("BUG: harness decays a file that is not there");
        self.hit(Event::Decayed);
        self.inode_mut(number)
            .expect("BUG: name without inode")
            .decay(change);
    }
}
