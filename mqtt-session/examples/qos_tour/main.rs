//! The three delivery promises of MQTT as sequence diagrams, and what a cut connection does to
//! them.
//!
//! ```text
//! cargo run -p mqtt-session --example qos_tour
//! ```
//!
//! No socket and no clock: a publisher, a server and a subscriber exchange real packets in memory.

mod tour;

use mqtt_session::proto::QoS;
use tour::{Cut, LINKS, run};

fn main() {
    let promises = [
        (QoS::AtMostOnce, "QoS 0, at most once: sent and forgotten."),
        (QoS::AtLeastOnce, "QoS 1, at least once: a copy is held until PUBACK."),
        (
            QoS::ExactlyOnce,
            "QoS 2, exactly once: the copy goes at PUBREC, the identifier at PUBCOMP.",
        ),
    ];
    println!("What each side keeps is written behind the packet that made it so:");
    println!("  copy      the message, to be sent again");
    println!("  release   only its identifier, until PUBCOMP");
    println!("  received  the identifier of a message that must not be delivered again");
    for (qos, promise) in promises {
        println!("\n{promise}\n\n{}", run(qos, None).diagram);
    }
    println!("\nQoS 2 again, and the publisher loses its connection before PUBREC arrives.");
    println!("The server knows identifier 1 when it comes again, so nothing is delivered twice.\n");
    let lost_pubrec = Cut { link: LINKS[0], after: 1 };
    println!("{}", run(QoS::ExactlyOnce, Some(lost_pubrec)).diagram);

    println!("\nThe same flows with a connection cut after every packet, then resumed.");
    for (qos, promise) in promises {
        println!("\n{promise}\n");
        println!("  cut              after packet     resent                  delivered");
        for link in LINKS {
            for after in 0..=run(qos, None).packets.len() {
                let report = run(qos, Some(Cut { link, after }));
                let last = match after {
                    0 => "(none)",
                    _ => &report.packets[after - 1],
                };
                let resent = report.resent.join(", ");
                let count = report.deliveries;
                println!("  {:<17}{after} {last:<15}{resent:<24}{count}", link.name());
            }
        }
    }
}
