//! Token counts among a span's attributes → buckets that exclude one another.
//!
//! Conventions say that the input contains what was read from and written to a cache, and the output
//! what was thought; not every sender keeps to that. A part that is larger than the whole stands beside
//! it, and so does one that the sender's own total has room for.

use obsrv_engine::doc::DocWriter;

use super::known::Best;
use crate::dialect::tokens::Tokens;

/// What an attribute counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Input,
    Output,
    Total,
    CacheRead,
    CacheWrite,
    Reasoning,
    /// The input without what has to do with a cache.
    Uncached,
}

/// The counts, as they come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    input: Best<i64>,
    output: Best<i64>,
    total: Best<i64>,
    cache_read: Best<i64>,
    cache_write: Best<i64>,
    reasoning: Best<i64>,
    uncached: Best<i64>,
}

impl Usage {
    /// Takes note of one.
    pub(super) fn offer(&mut self, count: Count, rank: u8, n: Option<i64>) {
        let slot = match count {
            Count::Input => &mut self.input,
            Count::Output => &mut self.output,
            Count::Total => &mut self.total,
            Count::CacheRead => &mut self.cache_read,
            Count::CacheWrite => &mut self.cache_write,
            Count::Reasoning => &mut self.reasoning,
            Count::Uncached => &mut self.uncached,
        };
        slot.offer(rank, n);
    }

    /// Whether there is anything to write.
    pub(super) fn is_said(&self) -> bool {
        let counts = [self.input, self.output, self.total];
        counts.iter().any(|count| count.get().is_some())
    }

    /// Writes the field `tokens`.
    pub(super) fn write(&self, out: &mut DocWriter) {
        if self.input.get().is_none() && self.output.get().is_none() {
            // Nothing but their sum.
            let total = self.total.get().unwrap_or(0);
            return Tokens::write_total(total, out);
        }
        self.tokens().write(out);
    }

    fn tokens(&self) -> Tokens<'static> {
        let of = |count: Best<i64>| count.get().unwrap_or(0);
        let (input, output) = (of(self.input), of(self.output));
        let (read, written, thought) = (
            of(self.cache_read),
            of(self.cache_write),
            of(self.reasoning),
        );
        let cached = read.saturating_add(written);
        let both = input.saturating_add(output);
        let is_total = |n: i64| self.total.get() == Some(both.saturating_add(n));
        let all = is_total(cached.saturating_add(thought)) && !is_total(0);
        let cached_beside = cached > input || (cached > 0 && (all || is_total(cached)));
        let thought_beside = thought > output || (thought > 0 && (all || is_total(thought)));
        let rest = |whole: i64, part: i64, beside: bool| if beside { whole } else { whole - part };
        let tokens = Tokens {
            input: self
                .uncached
                .get()
                .unwrap_or(rest(input, cached, cached_beside)),
            cache_read: read,
            cache_write: written,
            output: rest(output, thought, thought_beside),
            reasoning: thought,
            ..Tokens::default()
        };
        // A total that has no room for the parts is of the two alone.
        let total = self.total.get().filter(|total| *total >= tokens.sum());
        Tokens { total, ..tokens }
    }
}
