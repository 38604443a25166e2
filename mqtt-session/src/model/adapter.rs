//! What every adapter does after every call, and where a process may end while it does.

use alloc::{format, vec::Vec};

use bytes::Buf;
use mqtt_proto::{Packet, PacketId, ReasonCode, Role};

use super::{
    ledger::{Checked, broken, ensure},
    world::{Crash, World, other, take_packet},
};
use crate::{ClientAction, CloseReason, Inbound, JournalEntry, Outcome, Transmit};

impl World {
    /// All actions, then all bytes, until there are none.
    pub(super) fn settle(&mut self) -> Checked {
        self.settle_client()?;
        self.settle_journal()?;
        (0..self.lines.len()).try_for_each(|at| self.settle_server(at))
    }

    fn settle_client(&mut self) -> Checked {
        let (mut closing, mut held) = (false, false);
        loop {
            while let Some(action) = self.client.poll_action() {
                // A message goes with the entry that it is held.
                let commits = match &action {
                    ClientAction::Journal(_) => true,
                    ClientAction::Deliver { receipt: None, .. } => !held,
                    _ => false,
                };
                if self.is_down(Role::Client) || commits && !self.commits(Role::Client) {
                    return Ok(());
                }
                held = matches!(action, ClientAction::Journal(JournalEntry::Held { .. }));
                match action {
                    ClientAction::Journal(entry) => self.write_down(Role::Client, entry)?,
                    ClientAction::Deliver { publish, receipt } => {
                        self.given(Role::Client, &Inbound::new(publish, None, receipt))?;
                    }
                    ClientAction::Finished { id, outcome } => {
                        self.finished(Role::Client, id, outcome)?;
                    }
                    ClientAction::Close(reason) => {
                        self.excuse(&reason)?;
                        closing = true;
                    }
                    ClientAction::Connected(_) | ClientAction::Disconnected(_) => {}
                    action => return Err(broken("no accusation", format!("{action:?}"))),
                }
            }
            let bytes = take_all(self.client.transmit());
            if bytes.is_empty() {
                break;
            }
            if !self.writes(Role::Client) {
                return Ok(());
            }
            self.written(Role::Client, &bytes)?;
            if let Some(line) = self.lines.last_mut().filter(|_| self.joined) {
                line.bytes.extend_from_slice(&bytes);
            }
        }
        if closing { self.end_client() } else { Ok(()) }
    }

    /// The entries of the server's session, wherever it is.
    pub(super) fn settle_journal(&mut self) -> Checked {
        loop {
            let entry = self.lines.iter_mut().find_map(|line| line.server.poll_journal());
            let Some(entry) = entry.or_else(|| self.kept.as_mut()?.poll_journal()) else {
                return Ok(());
            };
            if !self.commits(Role::Server) {
                return Ok(());
            }
            self.write_down(Role::Server, entry)?;
        }
    }

    fn settle_server(&mut self, at: usize) -> Checked {
        loop {
            let server = &mut self.lines[at].server;
            let bytes = take_all(server.transmit());
            let mut ended = Vec::new();
            server.handle_flushed(self.now, |id, outcome| ended.push((id, outcome)));
            if bytes.is_empty() && ended.is_empty() || !self.writes(Role::Server) {
                return Ok(());
            }
            for (id, outcome) in ended {
                self.finished(Role::Server, id, outcome)?;
            }
            self.written(Role::Server, &bytes)?;
            if self.joined && at + 1 == self.lines.len() {
                self.to_client.extend_from_slice(&bytes);
            }
        }
    }

    fn write_down(&mut self, by: Role, entry: JournalEntry) -> Checked {
        self.tell(|| format!("{by:?} writes down {entry:?}"));
        if let JournalEntry::Held { .. } = entry {
            self.take()?;
        }
        let image = &mut self.sides[by as usize].image;
        let image = image.as_mut().ok_or_else(|| broken("journal", "there is no session"))?;
        image.replay(entry).map_err(|error| broken("journal", format!("{error}")))
    }

    /// The next thing that a process writes down, all or nothing. Whether it gets to it.
    pub(super) fn commits(&mut self, who: Role) -> bool {
        self.commits[who as usize] += 1;
        if let Some(Crash { whose, commits, done }) = &mut self.crash
            && *whose == who
        {
            *done |= *commits == 0;
            *commits = commits.saturating_sub(1);
        }
        !self.is_down(who)
    }

    /// Whether it gets to writing bytes, which it does after its last commit.
    fn writes(&mut self, who: Role) -> bool {
        if let Some(Crash { whose, commits: 0, done }) = &mut self.crash
            && *whose == who
        {
            *done = true;
        }
        !self.is_down(who)
    }

    pub(super) fn is_down(&self, who: Role) -> bool {
        self.crash.is_some_and(|crash| crash.whose == who && crash.done)
    }

    pub(super) fn finished(&mut self, publisher: Role, id: PacketId, outcome: Outcome) -> Checked {
        self.tell(|| format!("{publisher:?} is told of {id}: {outcome:?}"));
        self.ledger(publisher).finished(id, outcome)
    }

    fn written(&mut self, by: Role, bytes: &[u8]) -> Checked {
        let mut bytes = bytes.to_vec();
        while !bytes.is_empty() {
            let packet = take_packet(&mut bytes);
            let packet = self.read(by, &packet);
            if let Packet::ConnAck(connack) = &packet {
                let is_true = connack.session_present == self.present;
                ensure(is_true, "session present", || format!("{packet}"))?;
            }
            self.ledger(by).written(&packet)?;
            self.ledger(other(by)).answers(&packet)?;
        }
        Ok(())
    }

    /// Nobody broke the protocol, so nobody may say so.
    pub(super) fn excuse(&self, reason: &CloseReason) -> Checked {
        let late = match reason {
            CloseReason::KeepAliveTimeout
            | CloseReason::ConnectTimeout
            | CloseReason::Disconnected(ReasonCode::KEEP_ALIVE_TIMEOUT) => true,
            CloseReason::AckTimeout | CloseReason::Disconnected(ReasonCode::UNSPECIFIED_ERROR) => {
                self.setup.ack_timeout.is_some()
            }
            _ => false,
        };
        ensure(late, "no accusation", || format!("{reason}"))
    }
}

fn take_all(transmit: &mut Transmit) -> Vec<u8> {
    let bytes = transmit.chunk().to_vec();
    transmit.advance(bytes.len());
    bytes
}
