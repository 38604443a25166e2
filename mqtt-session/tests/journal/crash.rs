//! Either process dies at every moment of a recorded flow, and is started again.

use std::{collections::BTreeSet, time::Duration};

use mqtt_session::proto::{ProtocolVersion, QoS, Role};

use crate::{
    common::{Q1, Q2, VERSIONS, expiring},
    world::{Answers, Died, Settings, World, message},
};

#[derive(Clone, Copy, Debug)]
struct Flow {
    settings: Settings,
    up: bool,
    qos: QoS,
}

fn flows() -> impl Iterator<Item = Flow> {
    let answers = [Answers::Automatic, Answers::Manual, Answers::Backwards];
    let windows = [1, 2, 100];
    VERSIONS.into_iter().flat_map(move |version| {
        windows.into_iter().flat_map(move |window| {
            answers.into_iter().flat_map(move |answers| {
                [(true, Q1), (true, Q2), (false, Q1), (false, Q2)].map(|(up, qos)| Flow {
                    settings: Settings { version, window, answers },
                    up,
                    qos,
                })
            })
        })
    })
}

impl Flow {
    /// Messages before there is a connection, on one, and between two; whoever dies is started again,
    /// and the application goes on with what was next. The deaths there were.
    fn play(self, world: &mut World) -> Vec<Died> {
        let Self { up, qos, .. } = self;
        let mut deaths = Vec::new();
        let mut perform = |world: &mut World, step: &dyn Fn(&mut World) -> Result<(), Died>| {
            deaths.extend(world.perform(step));
        };
        let publish = |text| {
            move |world: &mut World| {
                // Who does not know of its session has subscribed to nothing.
                if up || world.at_client.restore().is_present() {
                    world.publish(up, message(qos, text))?;
                }
                Ok(())
            }
        };
        perform(world, &publish("a"));
        perform(world, &World::connect);
        perform(world, &|world| world.arrive(true).map(drop));
        perform(world, &publish("b"));
        perform(world, &World::settle);
        perform(world, &publish("c"));
        perform(world, &publish("d"));
        for _ in 0..3 {
            perform(world, &|world| world.arrive(up).map(drop));
            perform(world, &|world| world.arrive(!up).map(drop));
        }
        perform(world, &World::cut);
        perform(world, &publish("e"));
        perform(world, &World::settle);
        // Until neither dies any more.
        while let Some(died) = world.perform(World::settle) {
            deaths.push(died);
        }
        deaths
    }

    fn check(self, world: &World, told: &str) {
        let (sender, receiver) = match self.up {
            true => (&world.at_client, &world.at_server),
            false => (&world.at_server, &world.at_client),
        };
        let mut delivered = receiver.delivered.clone();
        if self.qos == Q1 {
            let mut seen = BTreeSet::new();
            delivered.retain(|text| seen.insert(text.clone()));
        }
        // In their order, and nothing that was not accepted.
        assert_eq!(delivered, sender.accepted, "{told}");
        for disk in [sender, receiver] {
            let session = disk.restore();
            assert_eq!((session.open(), session.received().len()), (0, 0), "{told}: {disk:?}");
            assert!(session.is_present(), "{told}");
        }
    }

    fn run(self, deaths: &[(Role, usize)]) -> Vec<Died> {
        let mut world = World::new(self.settings);
        for &(role, moment) in deaths {
            world.disk(role).dies_at = Some(moment);
        }
        let died = self.play(&mut world);
        self.check(&world, &format!("{self:?}, dies at {deaths:?}"));
        died
    }
}

#[test]
fn a_crash_at_any_moment_costs_nothing_that_was_written_down() {
    let mut moments = 0;
    for flow in flows() {
        for role in [Role::Client, Role::Server] {
            for moment in 0.. {
                if flow.run(&[(role, moment)]).is_empty() {
                    break;
                }
                moments += 1;
            }
        }
    }
    assert!(moments > 4_000, "{moments}");
}

#[test]
fn nor_do_crashes_of_both_sides() {
    let mut both = 0;
    for flow in flows().filter(|flow| flow.settings.window == 2) {
        for first in (0..45).step_by(4) {
            for second in (0..45).step_by(3) {
                let died = flow.run(&[(Role::Client, first), (Role::Server, second)]);
                both += usize::from(died.len() == 2);
            }
        }
    }
    assert!(both > 1_000, "{both}");
}

#[test]
fn message_expiry_goes_on_counting_across_a_crash() {
    let settings =
        Settings { version: ProtocolVersion::V5, window: 10, answers: Answers::Automatic };
    let mut world = World::new(settings);
    for (text, seconds) in [("short", 5), ("long", 60)] {
        let died = world.perform(|world| world.publish(true, expiring(Q1, text, seconds)));
        assert_eq!(died, None);
    }
    world.restart(Role::Client);
    let deadline = world.now + Duration::from_secs(5);
    assert!(world.client.poll_timeout().is_some_and(|at| at <= deadline));
    world.pass(Duration::from_secs(10));
    // Even if there is no connection to send it over.
    assert_eq!(world.perform(World::timeout), None);
    assert_eq!(world.at_client.restore().open(), 1);
    assert_eq!(world.perform(World::settle), None);
    assert_eq!(world.at_server.delivered, ["long"]);
    assert_eq!(world.expiries, [50]);
    assert_eq!(world.at_client.restore().open(), 0);
}

#[test]
fn a_session_that_the_server_never_had_begins_with_a_clean_start() {
    // The server holds an identifier for a client of the same name whose journal is lost.
    let settings =
        Settings { version: ProtocolVersion::V5, window: 10, answers: Answers::Automatic };
    let mut world = World::new(settings);
    assert_eq!(world.perform(|world| world.publish(true, message(Q2, "old"))), None);
    assert_eq!(world.perform(World::connect), None);
    while world.at_server.delivered.is_empty() {
        assert_eq!(world.perform(|world| world.arrive(true).map(drop)), None);
        assert_eq!(world.perform(|world| world.arrive(false).map(drop)), None);
    }
    assert_eq!(world.perform(World::cut), None);
    world.at_client.journal.clear();
    world.restart(Role::Client);
    // Its first message gets that identifier, and dies with it before it is connected.
    assert_eq!(world.perform(|world| world.publish(true, message(Q2, "new"))), None);
    world.restart(Role::Client);
    assert_eq!(world.perform(World::settle), None);
    assert_eq!(world.at_server.delivered, ["old", "new"]);
}
