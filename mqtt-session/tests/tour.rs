//! What the example shows is true for every cut.

#[path = "../examples/qos_tour/tour.rs"]
mod tour;

use mqtt_session::proto::QoS;
use tour::{Cut, LINKS, run};

#[test]
fn a_flow_has_as_many_packets_and_deliveries_as_its_qos_promises() {
    fn check(qos: QoS, packets: usize, deliveries: std::ops::RangeInclusive<usize>) {
        let report = run(qos, None);
        assert_eq!((report.packets.len(), report.deliveries), (packets, 1), "{qos:?}");
        assert!(report.resent.is_empty());
        for link in LINKS {
            assert!(!link.name().is_empty());
            for after in 0..=packets {
                let report = run(qos, Some(Cut { link, after }));
                let told = format!("{qos:?} {link:?} {after}\n{}", report.diagram);
                assert!(deliveries.contains(&report.deliveries), "{told}");
                assert!(report.resent.len() <= 1, "{told}");
                // At the end nobody keeps anything.
                let last = report.diagram.lines().last().expect("a line");
                assert!(!["copy", "release", "received"].iter().any(|kept| last.contains(kept)));
            }
        }
    }
    check(QoS::AtMostOnce, 2, 0..=1);
    check(QoS::AtLeastOnce, 4, 1..=2);
    check(QoS::ExactlyOnce, 8, 1..=1);
}
