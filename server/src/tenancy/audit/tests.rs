//! The chain of hashes, and pages of records.

use super::*;
use crate::control::{Act, Actor, AuditAction, AuditNote};

fn note(n: usize) -> ControlEvent {
    ControlEvent::Audit(Act {
        actor: Actor::System,
        at_ns: 1,
        event: AuditNote {
            action: AuditAction::SignedIn,
            org: Some(OrgId(u64::try_from(n % 2).unwrap())),
            project: None,
            subject: n.to_string(),
        },
    })
}

/// Records as a log holds them, the first two as an older obsrv wrote them.
fn records(count: usize) -> Vec<Vec<u8>> {
    let mut hash = CHAIN_START;
    let mut all = Vec::new();
    for n in 0..count {
        let mut bytes = control::encode(&hash, &note(n)).to_vec();
        if n < 2 {
            bytes = [&[1], &bytes[33..]].concat();
        }
        hash = control::chain(&hash, &bytes);
        all.push(bytes);
    }
    all
}

fn findings(records: &[Vec<u8>]) -> usize {
    let numbered = (1..).zip(records.iter().map(Vec::as_slice));
    check_chain(numbered).findings.len()
}

#[test]
fn a_whole_chain_has_no_findings_and_any_change_of_it_has() {
    let whole = records(6);
    assert_eq!(findings(&whole), 0);
    // The last record has nobody after it to say so: its receipt does.
    for record in 0..5 {
        for byte in 0..whole[record].len() {
            let mut edited = whole.clone();
            edited[record][byte] ^= 1;
            assert!(findings(&edited) > 0, "record {record} byte {byte}");
        }
        let mut without = whole.clone();
        without.remove(record);
        assert!(findings(&without) > 0, "without record {record}");
        let mut twice = whole.clone();
        twice.insert(record, whole[record].clone());
        assert!(findings(&twice) > 0, "record {record} twice");
        let mut swapped = whole.clone();
        swapped.swap(record, record + 1);
        assert!(
            findings(&swapped) > 0,
            "records {record} and the next swapped"
        );
    }
    // A record as an older obsrv wrote it cannot be slipped in behind the chain's beginning.
    let mut slipped = whole.clone();
    slipped.push(whole[0].clone());
    assert!(findings(&slipped) > 0);
}

#[test]
fn pages_hold_one_organization_newest_first_within_bounds() {
    let log = AuditLog::default();
    for (n, bytes) in records(10).into_iter().enumerate() {
        let at = Whereabouts {
            org: Some(OrgId(u64::try_from(n % 2).unwrap())),
            project: None,
            others: Box::default(),
        };
        let place = log.push(bytes.into(), [0; 32], at);
        assert_eq!(place.number, u64::try_from(n).unwrap() + 1);
    }
    let numbers = |before, bounds| {
        let (records, next) = log.before(OrgId(1), before, bounds, |_| true);
        let numbers: Vec<u64> = records.iter().map(|record| record.place.number).collect();
        (numbers, next)
    };
    assert_eq!(numbers(u64::MAX, (2, 100)), (vec![10, 8], Some(8)));
    assert_eq!(numbers(8, (100, 100)), (vec![6, 4, 2], None));
    // No more than four records are looked at.
    assert_eq!(numbers(u64::MAX, (100, 4)), (vec![10, 8], Some(7)));
    assert_eq!(numbers(1, (100, 100)), (vec![], None));
    assert_eq!((log.len(), log.broken_at()), (10, None));
}
