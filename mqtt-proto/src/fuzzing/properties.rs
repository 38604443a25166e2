use alloc::{format, vec::Vec};

use bytes::Bytes;

use super::oracle;
use crate::{
    PacketType, Properties, PropertiesBuilder, Property, PropertyId, PropertyOwner, Storage,
};

/// A property list: the first byte says whose, 0 for a will and else the packet type.
pub fn properties(data: &[u8]) {
    let [owner, data @ ..] = data else { return };
    let owner = PacketType::new(owner & 15).map_or(PropertyOwner::Will, PropertyOwner::Packet);
    let ids = oracle::property_list(data, owner, None);
    let read = Properties::from_wire(data, owner);
    let owned = Properties::from_wire(Bytes::copy_from_slice(data), owner);
    assert_eq!(read.is_ok(), ids.is_some(), "{read:?}");
    let (list, ids) = match (read, ids) {
        (Ok(list), Some(ids)) => (list, ids),
        (read, _) => return assert_eq!(read.err(), owned.err()),
    };
    let owned = owned.expect("it is the same list");
    check(&list, &ids, data);
    check(&owned, &ids, data);
    assert_eq!(owned.as_ref(), list);
    assert_eq!(Properties::new(list.iter()), Ok(owned));
    check_builder(&list);
}

fn check<B: Storage>(list: &Properties<B>, ids: &[u8], data: &[u8]) {
    assert_eq!(list.as_bytes(), data);
    assert_eq!(list.is_empty(), data.is_empty());
    assert!(list.iter().map(|property| property.id() as u8).eq(ids.iter().copied()));
    for id in PropertyId::ALL {
        assert_eq!(list.set().contains(id), ids.contains(&(id as u8)));
    }
    assert_eq!(list.set().intersects(list.set()), !list.is_empty());
    let pairs = list.iter().filter_map(|property| match property {
        Property::UserProperty(pair) => Some(pair),
        _ => None,
    });
    assert!(list.user_properties().eq(pairs));
    let numbers = list.iter().filter_map(|property| match property {
        Property::SubscriptionIdentifier(number) => Some(number),
        _ => None,
    });
    assert!(list.subscription_identifiers().eq(numbers));
    assert!(!format!("{list:?} {:?}", list.set()).is_empty());
    check_getters(list);
}

/// A builder says no to what may not occur again, and is then as it was.
fn check_builder(list: &Properties<&[u8]>) {
    let mut builder = PropertiesBuilder::new();
    for property in list.iter() {
        assert!(!format!("{property:?}").is_empty());
        assert!(builder.push(property).is_ok());
    }
    let may_repeat = [PropertyId::UserProperty, PropertyId::SubscriptionIdentifier];
    for property in list.iter().filter(|property| !may_repeat.contains(&property.id())) {
        assert!(builder.push(property).is_err());
    }
    let built = builder.build();
    assert_eq!(built.as_ref(), *list);
    assert_eq!(built.iter().collect::<Vec<_>>(), list.iter().collect::<Vec<_>>());
}

macro_rules! getters {
    ($($name:ident $getter:ident;)*) => {
        /// Each getter gives the first of its kind.
        fn check_getters<B: Storage>(list: &Properties<B>) {
            $(
                let first = list.iter().find_map(|property| match property {
                    Property::$name(value) => Some(value),
                    _ => None,
                });
                assert_eq!(list.$getter(), first);
            )*
        }
    };
}

getters! {
    PayloadFormatIndicator payload_format_indicator;
    MessageExpiryInterval message_expiry_interval;
    ContentType content_type;
    ResponseTopic response_topic;
    CorrelationData correlation_data;
    SubscriptionIdentifier subscription_identifier;
    SessionExpiryInterval session_expiry_interval;
    AssignedClientIdentifier assigned_client_identifier;
    ServerKeepAlive server_keep_alive;
    AuthenticationMethod authentication_method;
    AuthenticationData authentication_data;
    RequestProblemInformation request_problem_information;
    WillDelayInterval will_delay_interval;
    RequestResponseInformation request_response_information;
    ResponseInformation response_information;
    ServerReference server_reference;
    ReasonString reason_string;
    ReceiveMaximum receive_maximum;
    TopicAliasMaximum topic_alias_maximum;
    TopicAlias topic_alias;
    MaximumQoS maximum_qos;
    RetainAvailable retain_available;
    UserProperty user_property;
    MaximumPacketSize maximum_packet_size;
    WildcardSubscriptionAvailable wildcard_subscription_available;
    SubscriptionIdentifierAvailable subscription_identifier_available;
    SharedSubscriptionAvailable shared_subscription_available;
}
