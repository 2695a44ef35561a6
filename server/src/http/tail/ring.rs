//! The last of a row of things, as many as have room, each with its number.

use std::collections::VecDeque;

/// Keeps the newest.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    items: VecDeque<(T, usize)>,
    /// Bytes that all of them may have.
    room: usize,
    bytes: usize,
    /// Number of the first that is kept.
    first: u64,
}

/// What came after a number.
#[derive(Debug)]
pub(crate) struct Read<T> {
    /// How many are not kept any more.
    pub(crate) missed: u64,
    /// The next ones that are.
    pub(crate) items: Vec<T>,
    /// From where to read on.
    pub(crate) next: u64,
}

impl<T: Clone> Ring<T> {
    pub(crate) const fn new(room: usize) -> Self {
        Self {
            items: VecDeque::new(),
            room,
            bytes: 0,
            first: 0,
        }
    }

    /// The number of the next.
    pub(crate) fn end(&self) -> u64 {
        self.first
            .saturating_add(u64::try_from(self.items.len()).unwrap_or(u64::MAX))
    }

    /// Adds what has so many bytes; the oldest make room. What has no room at all is missed at once.
    pub(crate) fn push(&mut self, item: T, bytes: usize) {
        self.items.push_back((item, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        self.make_room();
    }

    /// Keeps what has `room` bytes from now on.
    pub(crate) fn resize(&mut self, room: usize) {
        self.room = room;
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.bytes > self.room {
            let Some((_, gone)) = self.items.pop_front() else {
                break;
            };
            self.bytes -= gone;
            self.first += 1;
        }
    }

    /// Up to `most` from the number `from` on, of `bytes` in all; the first has room in any case.
    pub(crate) fn read(&self, from: u64, (most, bytes): (usize, usize)) -> Read<T> {
        let start = from.clamp(self.first, self.end());
        let skip = usize::try_from(start - self.first).unwrap_or(usize::MAX);
        let (mut items, mut read) = (Vec::new(), 0_usize);
        for (item, size) in self.items.iter().skip(skip).take(most) {
            read = read.saturating_add(*size);
            if read > bytes && !items.is_empty() {
                break;
            }
            items.push(item.clone());
        }
        Read {
            missed: start.saturating_sub(from),
            next: start.saturating_add(u64::try_from(items.len()).unwrap_or(0)),
            items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_read_once_or_counted_as_missed() {
        let mut ring = Ring::new(30);
        let mut at = 0;
        let (mut seen, mut missed) = (Vec::new(), 0);
        for n in 0..20_u64 {
            ring.push(n, 10);
            if n % 5 == 4 {
                loop {
                    let read = ring.read(at, (2, 100));
                    (at, missed) = (read.next, missed + read.missed);
                    if read.items.is_empty() {
                        break;
                    }
                    seen.extend(read.items);
                }
            }
        }
        assert_eq!(seen, [2, 3, 4, 7, 8, 9, 12, 13, 14, 17, 18, 19]);
        assert_eq!((missed, at, ring.end()), (8, 20, 20));
    }

    #[test]
    fn what_has_no_room_is_missed_and_what_is_to_come_is_nothing() {
        let mut ring = Ring::new(10);
        ring.push('a', 10);
        ring.push('b', 11);
        let read = ring.read(0, (5, 100));
        assert_eq!((read.missed, read.items.len(), read.next), (2, 0, 2));
        ring.push('c', 1);
        assert_eq!(ring.read(2, (5, 100)).items, ['c']);
        let read = ring.read(9, (5, 100));
        assert_eq!((read.missed, read.items.len(), read.next), (0, 0, 3));
    }

    #[test]
    fn a_read_ends_at_its_bytes_and_a_smaller_ring_forgets_the_oldest() {
        let mut ring = Ring::new(40);
        (0..4_u8).for_each(|n| ring.push(n, 10));
        assert_eq!(ring.read(0, (9, 20)).items, [0, 1]);
        assert_eq!(ring.read(0, (9, 29)).items, [0, 1]);
        assert_eq!(ring.read(0, (9, 1)).items, [0], "the first in any case");
        ring.resize(20);
        let read = ring.read(0, (9, 100));
        assert_eq!((read.missed, read.items, read.next), (2, vec![2, 3], 4));
    }
}
