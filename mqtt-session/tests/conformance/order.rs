//! Message ordering, section 4.6. It binds clients; a server keeps the same order, which 4.6.0-6 asks for where it
//! sends.

use conformance::Run;
use mqtt_session::proto::{Property, ReasonCode};

use crate::{
    common::{Q0, Q1, Q2, publish},
    side::*,
};

/// PUBACKs and PUBRECs in the order in which their messages came.
pub(crate) fn of_acknowledgements(run: &mut Run) {
    let rows = [
        (Q1, "PUBACK", by_version(&["v3.1.1 MQTT-4.6.0-2"], &["v5 MQTT-4.6.0-2"])),
        (Q2, "PUBREC", by_version(&["v3.1.1 MQTT-4.6.0-3"], &["v5 MQTT-4.6.0-3"])),
    ];
    for (qos, name, versions) in rows {
        for (version, ids) in versions {
            for role in ROLES {
                let numbers = [3, 1, 65_535, 2, 40, 4];
                let mut side = Side::connected(role, version);
                numbers.iter().for_each(|&number| side.hear(&publish(qos, number, "x")));
                let expected = numbers.map(|number| format!("{name} {number}"));
                run.acting(ids).equal(side.said(), &expected, side.which());

                // Whenever the application decides, and however, and whatever comes between.
                let mut side = Side::undecided(role, version);
                let other = if qos == Q1 { Q2 } else { Q1 };
                for &number in &numbers {
                    side.hear(&publish(Q0, 0, "x"));
                    side.hear(&publish(qos, number, "x"));
                }
                side.hear(&publish(other, 900, "x"));
                for (at, expected) in
                    [(2, 0..0), (1, 0..0), (0, 0..3), (5, 3..3), (3, 3..4), (4, 4..6)]
                {
                    let said = numbers[expected].iter().map(|number| format!("{name} {number}"));
                    let said: Vec<_> = said.collect();
                    let decided = side.acknowledge(at, ReasonCode::SUCCESS);
                    run.acting(ids).equal(decided, Ok(()), side.which());
                    let what = format!("{}, {at} of {numbers:?}", side.which());
                    run.acting(ids).equal(side.said(), said, what);
                }
            }
        }
    }
}

pub(crate) fn of_pubrels(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-4.6.0-4"], &["v5 MQTT-4.6.0-4"]) {
        for role in ROLES {
            let mut side = Side::connected(role, version);
            let numbers = [0; 3].map(|_| side.publish(Q2, "x"));
            side.packets();
            let [first, second, third] = numbers;
            let order = [third, first, second];
            order.iter().for_each(|&number| side.hear(&pubrec(number)));
            let expected = order.map(|number| format!("PUBREL {number}"));
            run.acting(ids).equal(side.said(), &expected, side.which());
            // And so when they are sent again.
            for _ in 0..2 {
                side.resume();
                run.acting(ids).equal(side.said(), &expected, side.which());
            }
            side.hear(&pubcomp(first));
            side.resume();
            let rest = [third, second].map(|number| format!("PUBREL {number}"));
            run.acting(ids).equal(side.said(), rest, side.which());
        }
    }
}

/// Five open ones whose identifiers are not in their order, since some of them come for the second time.
pub(crate) fn of_resends(run: &mut Run) {
    for (version, ids) in by_version(&["v3.1.1 MQTT-4.6.0-1"], &["v5 MQTT-4.6.0-1"]) {
        for role in ROLES {
            for qos in [Q1, Q2] {
                let limits = Limits { max_pending: 5, ..Limits::default() };
                let mut side = Side::limited(role, version, limits).opened();
                let what = format!("{} {qos:?}", side.which());
                let mut numbers: Vec<_> = (0..5).map(|_| side.publish(qos, "x")).collect();
                for ended in [numbers.remove(3), numbers.remove(1)] {
                    side.complete(qos, ended);
                }
                numbers.extend((0..2).map(|_| side.publish(qos, "x")));
                run.acting(ids).holds(!numbers.is_sorted(), format!("{what}: {numbers:?}"));
                for _ in 0..2 {
                    side.resume();
                    run.acting(ids).equal(side.published(), &numbers[..], &what);
                }
                // With less room at the receiver fewer are sent at a time, in the same order.
                side.peer = vec![Property::ReceiveMaximum(2)];
                side.resume();
                let mut sent = Vec::new();
                loop {
                    let some = side.published();
                    let few = version == V311 || some.len() <= 2;
                    run.acting(ids).holds(few, format!("{what}: {some:?} at a time"));
                    if some.is_empty() {
                        break;
                    }
                    some.iter().for_each(|&number| side.complete(qos, number));
                    sent.extend(some);
                }
                run.acting(ids).equal(sent, numbers, &what);
            }
        }
    }
}
