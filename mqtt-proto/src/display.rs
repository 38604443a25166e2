//! Packets for logs: one line each, of a size that no peer decides, without secrets.

use core::fmt::{self, Display, Formatter, Write as _};

use crate::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, PacketType, Properties, Property, Publication,
    Publish, ReasonCode, ReasonCodes, RetainHandling, Storage, SubAck, Subscribe, SubscribeFilters,
    SubscriptionOptions, UnsubAck, Unsubscribe, UnsubscribeFilters,
};

/// No packet takes more bytes than this when it is shown with `{}`, whatever is in it.
pub const MAX_DISPLAY_LEN: usize = 4096;

/// How many bytes of the line one topic, filter, client identifier or user name may take.
const MAX_NAME: usize = 128;
/// How many bytes of the line one payload, or one text or binary in a property, may take.
const MAX_VALUE: usize = 64;
/// How many entries of a list are shown.
const MAX_ENTRIES: usize = 8;

/// One line for logs: the packet's name in the standard and its fields as `name=value`.
///
/// ```
/// use mqtt_proto::{Decoder, ProtocolVersion, Role, Status};
///
/// let mut decoder = Decoder::new(Role::Client, ProtocolVersion::V311);
/// let bytes = b"\x33\x0e\0\x06room/1\0\x0a\x1b[2J";
/// let Status::Ready((packet, _)) = decoder.decode(bytes)? else { panic!("not all there") };
/// assert_eq!(
///     packet.to_string(),
///     r#"PUBLISH topic="room/1" qos=1 id=10 retain payload=0x1b5b324a"#
/// );
/// # Ok::<_, mqtt_proto::DecodeError>(())
/// ```
///
/// * **What the peer chose cannot pass for anything else.** Its texts stand in quotes, and what
///   is not printable is escaped as `{:?}` would: line ends, terminal control sequences, characters
///   that change the direction of writing.
/// * **Secrets are not shown**: for a password and for Authentication Data it says `(hidden)`, here
///   and with `{:?}`. Payloads, user names and User Properties are shown.
/// * **The line is short.** One topic, filter, client identifier or user name takes at most 128
///   bytes, one payload or one value of a property at most 64, and of one list at most 8 entries
///   are shown. What was cut ends with `...` and its full length in bytes, a list with how many
///   entries are missing. In all it is never more than [`MAX_DISPLAY_LEN`] bytes.
/// * A payload is shown as text if what is shown of it is UTF-8 without control characters other
///   than tab and line ends, and as `0x` and hexadecimal digits if not.
///
/// What goes without saying is left out: DUP and RETAIN that are not set, success in an
/// acknowledgement, options that have their default, empty property lists. The form may change
/// between versions of this crate; it is for people.
impl<B: Storage> Display for Packet<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(packet) => packet.fmt(f),
            Self::ConnAck(packet) => packet.fmt(f),
            Self::Publish(packet) => packet.fmt(f),
            Self::PubAck(packet) => ack(PacketType::PubAck, packet, f),
            Self::PubRec(packet) => ack(PacketType::PubRec, packet, f),
            Self::PubRel(packet) => ack(PacketType::PubRel, packet, f),
            Self::PubComp(packet) => ack(PacketType::PubComp, packet, f),
            Self::Subscribe(packet) => packet.fmt(f),
            Self::SubAck(packet) => packet.fmt(f),
            Self::Unsubscribe(packet) => packet.fmt(f),
            Self::UnsubAck(packet) => packet.fmt(f),
            Self::PingReq | Self::PingResp => self.packet_type().fmt(f),
            Self::Disconnect(packet) => packet.fmt(f),
            Self::Auth(packet) => packet.fmt(f),
        }
    }
}

/// The standard's name in capitals.
impl Display for PacketType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One line for logs, as for [`Packet`]. Shows neither password nor authentication data.
impl<B: Storage> Display for Connect<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CONNECT version={} client_id=", self.version)?;
        text(self.client_id.as_str(), MAX_NAME, f)?;
        write!(f, " clean_start={} keep_alive={}", self.clean_start, self.keep_alive)?;
        if let Some(name) = &self.user_name {
            f.write_str(" user_name=")?;
            text(name.as_str(), MAX_NAME, f)?;
        }
        if self.password.is_some() {
            f.write_str(" password=(hidden)")?;
        }
        if let Some(will) = &self.will {
            f.write_str(" will=(")?;
            publication(will, f)?;
            f.write_char(')')?;
        }
        properties(&self.properties, f)
    }
}

/// One line for logs, as for [`Packet`].
impl<B: Storage> Display for ConnAck<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CONNACK session_present={} reason=", self.session_present)?;
        reason(self.reason, "Success", f)?;
        properties(&self.properties, f)
    }
}

/// One line for logs, as for [`Packet`].
impl<B: Storage> Display for Publish<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("PUBLISH topic=")?;
        text(self.message.topic.as_str(), MAX_NAME, f)?;
        write!(f, " qos={}", self.delivery.qos())?;
        if let Some(id) = self.delivery.id() {
            write!(f, " id={id}")?;
        }
        flag(self.delivery.dup(), " dup", f)?;
        flag(self.retain, " retain", f)?;
        f.write_str(" payload=")?;
        text_or_hex(self.message.payload.as_ref(), f)?;
        properties(&self.message.properties, f)
    }
}

/// One line for logs, as for [`Packet`].
impl<B: Storage> Display for Subscribe<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SUBSCRIBE id={} filters={}", self.id, self.filters)?;
        properties(&self.properties, f)
    }
}

/// One line for logs, as for [`Packet`].
impl<B: Storage> Display for SubAck<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SUBACK id={}", self.id)?;
        codes(&self.codes, "Granted QoS 0", f)?;
        properties(&self.properties, f)
    }
}

/// One line for logs, as for [`Packet`].
impl<B: Storage> Display for Unsubscribe<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "UNSUBSCRIBE id={} filters={}", self.id, self.filters)?;
        properties(&self.properties, f)
    }
}

/// One line for logs, as for [`Packet`].
impl<B: Storage> Display for UnsubAck<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "UNSUBACK id={}", self.id)?;
        codes(&self.codes, "Success", f)?;
        properties(&self.properties, f)
    }
}

/// One line for logs, as for [`Packet`].
impl<B: Storage> Display for Disconnect<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("DISCONNECT reason=")?;
        reason(self.reason, "Normal disconnection", f)?;
        properties(&self.properties, f)
    }
}

/// One line for logs, as for [`Packet`]. Does not show authentication data.
impl<B: Storage> Display for Auth<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("AUTH reason=")?;
        reason(self.reason, "Success", f)?;
        properties(&self.properties, f)
    }
}

/// The first filters and their options, as in the line of a [`Packet`].
impl<B: Storage> Display for SubscribeFilters<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        entries(self.iter(), f, |(filter, options), f| {
            text(filter.as_str(), MAX_NAME, f)?;
            let SubscriptionOptions { qos, no_local, retain_as_published, retain_handling } =
                options;
            write!(f, " qos={qos}")?;
            flag(no_local, " no_local", f)?;
            flag(retain_as_published, " retain_as_published", f)?;
            match retain_handling {
                RetainHandling::Send => Ok(()),
                other => write!(f, " retain_handling={}", other as u8),
            }
        })
    }
}

/// The first filters, as in the line of a [`Packet`].
impl<B: Storage> Display for UnsubscribeFilters<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        entries(self.iter(), f, |filter, f| text(filter.as_str(), MAX_NAME, f))
    }
}

/// The first properties, as in the line of a [`Packet`].
impl<B: Storage> Display for Properties<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        entries(self.iter(), f, |property, f| property.fmt(f))
    }
}

impl fmt::Debug for Property<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.id();
        match self {
            // May be a secret of the authentication method.
            Self::AuthenticationData(_) => write!(f, "{name:?}(hidden)"),
            _ => write!(f, "{name:?}({:?})", self.debug_value()),
        }
    }
}

/// Name and value, as in the line of a [`Packet`]. Does not show authentication data.
impl Display for Property<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use Property as P;
        write!(f, "{:?}=", self.id())?;
        match *self {
            P::PayloadFormatIndicator(flag)
            | P::RequestProblemInformation(flag)
            | P::RequestResponseInformation(flag)
            | P::MaximumQoS(flag)
            | P::RetainAvailable(flag)
            | P::WildcardSubscriptionAvailable(flag)
            | P::SubscriptionIdentifierAvailable(flag)
            | P::SharedSubscriptionAvailable(flag) => write!(f, "{}", u8::from(flag)),
            P::ServerKeepAlive(number)
            | P::ReceiveMaximum(number)
            | P::TopicAliasMaximum(number)
            | P::TopicAlias(number) => write!(f, "{number}"),
            P::MessageExpiryInterval(number)
            | P::SubscriptionIdentifier(number)
            | P::SessionExpiryInterval(number)
            | P::WillDelayInterval(number)
            | P::MaximumPacketSize(number) => write!(f, "{number}"),
            P::ContentType(value)
            | P::ResponseTopic(value)
            | P::AssignedClientIdentifier(value)
            | P::AuthenticationMethod(value)
            | P::ResponseInformation(value)
            | P::ServerReference(value)
            | P::ReasonString(value) => text(value, MAX_VALUE, f),
            P::CorrelationData(bytes) => text_or_hex(bytes, f),
            P::AuthenticationData(_) => f.write_str("(hidden)"),
            P::UserProperty((name, value)) => {
                text(name, MAX_VALUE, f)?;
                f.write_char(':')?;
                text(value, MAX_VALUE, f)
            }
        }
    }
}

fn publication<B: Storage>(will: &Publication<B>, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("topic=")?;
    text(will.message.topic.as_str(), MAX_NAME, f)?;
    write!(f, " qos={}", will.qos)?;
    flag(will.retain, " retain", f)?;
    f.write_str(" payload=")?;
    text_or_hex(will.message.payload.as_ref(), f)?;
    properties(&will.message.properties, f)
}

fn ack<B: Storage>(packet: PacketType, ack: &Ack<B>, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{packet} id={}", ack.id)?;
    if ack.reason != ReasonCode::SUCCESS {
        f.write_str(" reason=")?;
        reason(ack.reason, "Success", f)?;
    }
    properties(&ack.properties, f)
}

fn codes<B: Storage>(
    codes: &ReasonCodes<B>,
    zero: &'static str,
    f: &mut Formatter<'_>,
) -> fmt::Result {
    if codes.iter().len() == 0 {
        return Ok(());
    }
    f.write_str(" codes=")?;
    entries(codes.iter(), f, |code, f| reason(code, zero, f))
}

fn properties<B: Storage>(properties: &Properties<B>, f: &mut Formatter<'_>) -> fmt::Result {
    if properties.is_empty() { Ok(()) } else { write!(f, " properties={properties}") }
}

fn flag(set: bool, name: &str, f: &mut Formatter<'_>) -> fmt::Result {
    if set { f.write_str(name) } else { Ok(()) }
}

/// The code and what it is called in this packet: 0 has three names.
fn reason(code: ReasonCode, zero: &'static str, f: &mut Formatter<'_>) -> fmt::Result {
    let name = if code == ReasonCode::SUCCESS { zero } else { code.name() };
    write!(f, "{:#04x}", code.get())?;
    if name.is_empty() { Ok(()) } else { write!(f, " ({name})") }
}

/// The first entries of a list and how many more there are.
fn entries<T>(
    mut list: impl Iterator<Item = T>,
    f: &mut Formatter<'_>,
    entry: impl Fn(T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_char('[')?;
    for (at, item) in list.by_ref().take(MAX_ENTRIES).enumerate() {
        flag(at > 0, ", ", f)?;
        entry(item, f)?;
    }
    match list.count() {
        0 => f.write_char(']'),
        more => write!(f, ", ...{more} more]"),
    }
}

/// Text in quotes and escaped, of which at most `limit` bytes are written.
fn text(text: &str, limit: usize, f: &mut Formatter<'_>) -> fmt::Result {
    let shown = head(text, limit);
    write!(f, "{shown:?}")?;
    full_length(shown.len(), text.len(), f)
}

/// As much of a text as takes at most `limit` bytes when it is escaped.
fn head(text: &str, limit: usize) -> &str {
    let mut room = limit;
    for (at, letter) in text.char_indices() {
        let plain = matches!(letter, ' '..='~') && letter != '"' && letter != '\\';
        let len = if plain {
            1
        } else {
            // How many bytes it takes, escaped or not.
            letter.escape_debug().map(char::len_utf8).sum()
        };
        match room.checked_sub(len) {
            Some(rest) => room = rest,
            None => return &text[..at],
        }
    }
    text
}

/// Bytes as text where their head is text, and else as hexadecimal digits.
fn text_or_hex(bytes: &[u8], f: &mut Formatter<'_>) -> fmt::Result {
    if let Some(readable) = readable_head(bytes) {
        let shown = head(readable, MAX_VALUE);
        write!(f, "{shown:?}")?;
        return full_length(shown.len(), bytes.len(), f);
    }
    let shown = &bytes[..bytes.len().min(MAX_VALUE / 2)];
    f.write_str("0x")?;
    for byte in shown {
        write!(f, "{byte:02x}")?;
    }
    full_length(shown.len(), bytes.len(), f)
}

/// The first bytes as text, if that is what they are: UTF-8 and no control characters but tab and
/// line ends. Looks at no more than can be shown.
fn readable_head(bytes: &[u8]) -> Option<&str> {
    let head = &bytes[..bytes.len().min(MAX_VALUE)];
    let text = match core::str::from_utf8(head) {
        Ok(text) => text,
        // A character that the cut went through.
        Err(error) if error.error_len().is_none() && head.len() < bytes.len() => {
            core::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |letter: char| !letter.is_control() || matches!(letter, '\t' | '\n' | '\r');
    text.chars().all(is_text).then_some(text)
}

fn full_length(shown: usize, full: usize, f: &mut Formatter<'_>) -> fmt::Result {
    if shown == full { Ok(()) } else { write!(f, "...({full} bytes)") }
}
