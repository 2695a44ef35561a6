//! One OTLP metric → one event a point.

use super::point::{self, Kind};
use super::span::Shared;
use super::value::named;
use super::wire::{Field, Fields};
use super::{Bad, DecodeError, Sink};

/// What the points of a metric share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric<'a> {
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) unit: &'a str,
    pub(super) kind: Kind,
    pub(super) temporality: u64,
    pub(super) monotonic: bool,
    /// The metric: its metadata is in field 12.
    pub(super) message: Fields<'a>,
    pub(super) has_metadata: bool,
    /// The message with the points in field 1.
    points: Fields<'a>,
}

impl<'a> Metric<'a> {
    fn read(message: Fields<'a>) -> Result<Self, Bad> {
        let mut data = None;
        let mut metric = Self {
            name: "",
            description: "",
            unit: "",
            kind: Kind::Gauge,
            temporality: 0,
            monotonic: false,
            message,
            has_metadata: false,
            points: Fields::default(),
        };
        for field in message {
            let field = field.map_err(named("metric"))?;
            match field.number {
                1 => metric.name = field.text().map_err(named("name"))?,
                2 => metric.description = field.text().map_err(named("description"))?,
                3 => metric.unit = field.text().map_err(named("unit"))?,
                12 => metric.has_metadata = true,
                number => data = Kind::of_field(number).map(|kind| (kind, field)).or(data),
            }
        }
        let Some((kind, field)) = data else {
            return Err(Bad::new("data", "missing, or of a type that is not known"));
        };
        metric.kind = kind;
        metric.read_data(field)?;
        Ok(metric)
    }

    fn read_data(&mut self, data: Field<'a>) -> Result<(), Bad> {
        let name = self.kind.name();
        self.points = data.message().map_err(named(name))?;
        for field in self.points {
            let field = field.map_err(named(name))?;
            match field.number {
                2 => self.temporality = field.varint().map_err(named("aggregation_temporality"))?,
                3 => self.monotonic = field.varint().map_err(named("is_monotonic"))? != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Takes the points of a metric. One that does not read is refused as one item.
pub(super) fn points(
    message: Fields<'_>,
    shared: Result<&Shared, &Bad>,
    sink: &mut Sink<'_>,
) -> Result<(), DecodeError> {
    let metric = match Metric::read(message) {
        Ok(metric) => metric,
        Err(bad) => return sink.refuse_next(&bad),
    };
    for field in metric.points.flatten().filter(|field| field.number == 1) {
        sink.row(shared, |_, shared, docs| {
            let fields = field.message().map_err(named("data_points"))?;
            point::event(fields, &metric, shared, docs)
        })?;
    }
    Ok(())
}
