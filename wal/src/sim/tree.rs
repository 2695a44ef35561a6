//! The simulated tree: directories and files with names of their own, on the machine of a [`SimDisk`] and with its fate.
//!
//! A name that was made or removed is durable once its directory was synced; before that a power loss keeps or drops
//! each change on its own, of a move both halves. What is below a directory that was lost is gone with it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Event, Op, Point};
use super::file::Inode;
use super::state::{How, State};
use super::{SimDisk, SimFile};
use crate::io::{Clock, DiskFile, Facts, Tree};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(u64),
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    durable: Option<Node>,
    view: Option<Node>,
}

/// Every name of a tree, and what no sync covers.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    slots: BTreeMap<PathBuf, Slot>,
    pending: Vec<(PathBuf, Option<Node>)>,
    written: BTreeMap<u64, i64>,
}

fn absent() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

fn above(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

impl Names {
    fn node(&self, path: &Path) -> Option<Node> {
        if path.as_os_str().is_empty() {
            return Some(Node::Dir);
        }
        self.slots.get(path).and_then(|slot| slot.view)
    }

    fn dir(&self, path: &Path) -> io::Result<()> {
        match self.node(path) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::Error::from(io::ErrorKind::NotADirectory)),
            None => Err(absent()),
        }
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.node(path) {
            Some(Node::File(number)) => Ok(number),
            Some(Node::Dir) => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            None => Err(absent()),
        }
    }

    fn set(&mut self, path: &Path, node: Option<Node>) {
        self.slots.entry(path.to_owned()).or_default().view = node;
        self.pending.push((path.to_owned(), node));
    }

    fn below<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = &'a Path> {
        let is_there = |slot: &Slot| slot.view.is_some();
        let there = self.slots.iter().filter(move |(_, slot)| is_there(slot));
        let paths = there.map(|(path, _)| path.as_path());
        paths.filter(move |path| above(path) == dir)
    }

    /// Files that reads may still show, now or after a power loss.
    pub(super) fn holds(&self, number: u64) -> bool {
        let of = |node: Option<Node>| node == Some(Node::File(number));
        let mut slots = self.slots.values();
        slots.any(|slot| of(slot.durable) || of(slot.view))
            || self.pending.iter().any(|(_, node)| of(*node))
    }

    /// Files that have a name.
    pub(super) fn files(&self) -> impl Iterator<Item = u64> {
        self.slots.values().filter_map(|slot| match slot.view {
            Some(Node::File(number)) => Some(number),
            Some(Node::Dir) | None => None,
        })
    }

    /// Decides over every change by `keep`, and loses what is below lost directories.
    pub(super) fn lose_power(&mut self, keep: &mut dyn FnMut() -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        for (path, node) in std::mem::take(&mut self.pending) {
            let is_kept = keep();
            if is_kept {
                self.slots.entry(path).or_default().durable = node;
            }
            events.push([Event::NameDropped, Event::NameKept][usize::from(is_kept)]);
        }
        let mut whole = BTreeMap::new();
        // Directories come before what is in them.
        for (path, Slot { durable, .. }) in std::mem::take(&mut self.slots) {
            let dir = above(&path);
            let is_reached = dir.as_os_str().is_empty()
                || whole
                    .get(dir)
                    .is_some_and(|slot: &Slot| slot.durable == Some(Node::Dir));
            if is_reached && durable.is_some() {
                let view = durable;
                whole.insert(path, Slot { durable, view });
            }
        }
        self.slots = whole;
        events
    }
}

impl State {
    fn make_dirs(&mut self, dir: &Path, how: How) -> io::Result<()> {
        let mut missing: Vec<PathBuf> = Vec::new();
        for path in dir.ancestors().filter(|path| !path.as_os_str().is_empty()) {
            match self.tree.node(path) {
                Some(Node::Dir) => break,
                Some(Node::File(_)) => return Err(io::Error::from(io::ErrorKind::AlreadyExists)),
                None => missing.push(path.to_owned()),
            }
        }
        let made = match how {
            How::Whole => missing.len(),
            How::Partly(_) => super::index(self.rng.below(missing.len() as u64 + 1)),
        };
        for path in missing.iter().rev().take(made) {
            self.tree.set(path, Some(Node::Dir));
        }
        Ok(())
    }

    fn create_at(&mut self, path: &Path, how: How) -> io::Result<u64> {
        self.tree.dir(above(path))?;
        if self.tree.node(path).is_some() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        if !self.happens(how) {
            return Err(absent());
        }
        let number = self.new_inode();
        self.tree.set(path, Some(Node::File(number)));
        Ok(number)
    }

    fn rename_at(&mut self, from: &Path, to: &Path, how: How) -> io::Result<bool> {
        let number = self.tree.file(from)?;
        self.tree.dir(above(to))?;
        if self.tree.node(to).is_some() {
            return Ok(false);
        }
        if self.happens(how) {
            self.tree.set(from, None);
            self.tree.set(to, Some(Node::File(number)));
        }
        Ok(true)
    }

    fn remove_at(&mut self, path: &Path, how: How) -> io::Result<()> {
        self.tree.file(path)?;
        if self.happens(how) {
            self.tree.set(path, None);
        }
        Ok(())
    }

    fn remove_dir_at(&mut self, dir: &Path, how: How) -> io::Result<()> {
        self.tree.dir(dir)?;
        if self.tree.below(dir).next().is_some() {
            return Err(io::Error::from(io::ErrorKind::DirectoryNotEmpty));
        }
        if self.happens(how) {
            self.tree.set(dir, None);
        }
        Ok(())
    }

    fn sync_at(&mut self, dir: &Path, how: How) -> io::Result<()> {
        self.tree.dir(dir)?;
        let lose_all = how != How::Whole && self.rng.coin();
        let (of_it, others) = std::mem::take(&mut self.tree.pending)
            .into_iter()
            .partition(|(path, _)| above(path) == dir);
        self.tree.pending = others;
        let of_it: Vec<(PathBuf, Option<Node>)> = of_it;
        for (path, node) in of_it {
            if how == How::Whole || (!lose_all && self.rng.coin()) {
                self.tree.slots.entry(path).or_default().durable = node;
            }
        }
        Ok(())
    }

    fn facts_at(&self, path: &Path) -> io::Result<Facts> {
        let number = self.tree.file(path)?;
        Ok(Facts {
            len: self.inode(number).map(Inode::len)?,
            written_ns: self.tree.written.get(&number).copied().unwrap_or(0),
        })
    }
}

/// The tree of a disk.
#[derive(Debug)]
struct SimTree {
    disk: SimDisk,
    epoch: u64,
}

impl SimDisk {
    /// The tree of the machine, for the process that runs now.
    pub fn tree(&self) -> Arc<dyn Tree> {
        let epoch = self.state.lock().epoch;
        Arc::new(SimTree {
            disk: self.clone(),
            epoch,
        })
    }
}

impl SimTree {
    fn call<T>(
        &self,
        op: Op,
        path: &Path,
        act: impl FnOnce(&mut State, How) -> io::Result<T>,
    ) -> io::Result<T> {
        let name = crc32fast::hash(path.as_os_str().as_encoded_bytes());
        let arguments = [u64::from(name)];
        self.disk
            .waited(self.epoch, |_| Point::bare(op), &arguments, act)
    }

    fn handle(&self, number: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            disk: self.disk.clone(),
            kind: None,
            number,
            epoch: self.epoch,
        })
    }
}

impl Tree for SimTree {
    fn make_dirs(&self, dir: &Path) -> io::Result<()> {
        self.call(Op::MakeDirs, dir, |state, how| state.make_dirs(dir, how))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let now = self.disk.clock().wall_ns();
        let number = self.call(Op::Create, path, |state, how| {
            let number = state.create_at(path, how)?;
            state.tree.written.insert(number, now);
            Ok(number)
        })?;
        Ok(self.handle(number))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let number = self.call(Op::Open, path, |state, _| state.tree.file(path))?;
        Ok(self.handle(number))
    }

    fn facts(&self, path: &Path) -> io::Result<Facts> {
        self.call(Op::Len, path, |state, _| state.facts_at(path))
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call(Op::List, dir, |state, _| {
            state.tree.dir(dir)?;
            let names = state.tree.below(dir).filter_map(Path::file_name);
            Ok(names
                .map(|name| name.to_string_lossy().into_owned())
                .collect())
        })
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<bool> {
        self.call(Op::Publish, to, |state, how| state.rename_at(from, to, how))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Op::Remove, path, |state, how| state.remove_at(path, how))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Op::RemoveDir, dir, |state, how| {
            state.remove_dir_at(dir, how)
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Op::SyncDir, dir, |state, how| state.sync_at(dir, how))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.call(Op::FreeBytes, Path::new(""), |state, _| {
            Ok(state.free_bytes())
        })
    }
}
