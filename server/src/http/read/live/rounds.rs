//! What fills the channels of a project: each round takes the rows that came since the last, reads
//! them once and holds them against every filter that is watched.
//!
//! A round has a bound on rows, on bytes and on what one channel is given; what is over it is told as
//! missed. Rounds follow one another with a pause, so that what comes meanwhile is looked at together.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Budget, Fresh, FreshRequest};
use obsrv_engine::row::Lsn;
use tokio::time::sleep;

use super::super::ask::{Over, of_texts};
use super::super::list::shown;
use super::super::project::Fields;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::store::{Store, View};
use crate::http::tail::{Channel, News, Noted, Publisher, Tails};
use crate::http::{App, query};
use crate::limits::{
    TAIL_IDLE_TIME, TAIL_PACE_TIME, TAIL_PASSING_MAX, TAIL_ROUND_BYTES, TAIL_ROUND_ROWS,
};

/// One after another, until nobody watches.
pub(super) struct Rounds {
    app: Arc<App>,
    tails: Arc<Tails>,
    store: Store,
    publisher: Arc<Publisher>,
    /// Up to which record everything was looked at.
    at: Option<Lsn>,
    /// Whose filter is first: what there is no room for is not always missed by the same.
    turn: usize,
}

impl Rounds {
    pub(super) const fn new(
        app: Arc<App>,
        tails: Arc<Tails>,
        store: Store,
        publisher: Arc<Publisher>,
    ) -> Self {
        Self {
            app,
            tails,
            store,
            publisher,
            at: None,
            turn: 0,
        }
    }

    pub(super) async fn run(mut self) {
        while !self.tails.tidy(&self.publisher) {
            let Some(noted) = self.publisher.take() else {
                self.publisher.wait(TAIL_IDLE_TIME).await;
                continue;
            };
            match self.round(noted).await {
                Ok(at) => self.at = Some(at),
                // What came is still there.
                Err(error)
                    if matches!(error.code, ErrorCode::Overloaded | ErrorCode::RateLimited) =>
                {
                    self.publisher.put_back(noted);
                }
                Err(error) => {
                    tracing::debug!(%error, "rows of a live tail were not looked at");
                    let room = self.tails.ring_bytes();
                    for channel in self.publisher.channels() {
                        channel.push([News::Missed(noted.rows)], room);
                    }
                    self.at = Some(noted.last);
                }
            }
            sleep(TAIL_PACE_TIME).await;
        }
    }

    /// Tells what came; up to which record.
    async fn round(&mut self, noted: Noted) -> Result<Lsn, ApiError> {
        let after = self.at.unwrap_or_else(|| noted.first.saturating_sub(1));
        let now_ns = self.app.clock.wall_ns();
        let mut channels = self.publisher.channels();
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn.checked_rem(channels.len()).unwrap_or(0);
        channels.rotate_left(turn);
        let (store, room) = (self.store.clone(), self.tails.ring_bytes());
        query::run(&self.app, self.store.project(), move |budget| {
            let view = store.view();
            let budget = Budget {
                bytes_max: budget.bytes_max.min(TAIL_ROUND_BYTES),
                read_bytes_max: budget.bytes_max.min(TAIL_ROUND_BYTES),
                ..*budget
            };
            for (over, channels) in by_table(channels) {
                let filters = filters(over, &channels, now_ns);
                let fresh = look(&view, (over, &filters), after, &budget)?;
                tell(over, &fresh, &channels, room)?;
            }
            Ok(view.lsn())
        })
        .await
    }
}

fn by_table(channels: Vec<Arc<Channel>>) -> HashMap<Over, Vec<Arc<Channel>>> {
    let mut tables: HashMap<Over, Vec<Arc<Channel>>> = HashMap::new();
    for channel in channels {
        tables
            .entry(channel.question().over)
            .or_default()
            .push(channel);
    }
    tables
}

/// Read anew each time: relative times count from now.
fn filters(over: Over, channels: &[Arc<Channel>], now_ns: i64) -> Vec<Filter> {
    let filter = |channel: &Arc<Channel>| {
        let question = channel.question();
        of_texts(over, (&question.q, &question.filter), now_ns)
            .expect("BUG: a filter that was read once does not read again")
    };
    channels.iter().map(filter).collect()
}

fn look(
    view: &View,
    (over, filters): (Over, &[Filter]),
    after: Lsn,
    budget: &Budget<'_>,
) -> Result<Fresh, ApiError> {
    let request = FreshRequest {
        after,
        filters,
        rows_max: TAIL_ROUND_ROWS,
        passing_max: TAIL_PASSING_MAX,
    };
    Ok(view.fresh(over.table(), &request, budget)?)
}

/// Gives each channel its rows; each row is written once, whoever has it.
fn tell(over: Over, fresh: &Fresh, channels: &[Arc<Channel>], room: usize) -> Result<(), ApiError> {
    let fields = Fields::default();
    let mut rows = Vec::with_capacity(fresh.hits.len());
    for hit in &fresh.hits {
        let json = shown(over, hit, &fields)?;
        rows.push(Bytes::from(String::from(Box::<str>::from(json))));
    }
    for (channel, passing) in channels.iter().zip(&fresh.passing) {
        let missed = |count: u64| (count > 0).then_some(News::Missed(count));
        let given = passing
            .hits
            .iter()
            .filter(|news| channel.is_later(news.lsn));
        let given = given.filter_map(|news| rows.get(news.at));
        let given = given.map(|json| News::Row(json.clone()));
        let before = missed(fresh.skipped).into_iter();
        let all: Vec<News> = before.chain(given).chain(missed(passing.missed)).collect();
        if !all.is_empty() {
            channel.push(all, room);
        }
    }
    Ok(())
}
