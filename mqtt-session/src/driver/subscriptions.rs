//! What was subscribed; kept only to be subscribed again.

use alloc::{collections::BTreeMap, vec::Vec};
use core::mem;

use bytes::Bytes;
use mqtt_proto::{Properties, SubscribeFilters, SubscriptionOptions, TopicFilter};

use crate::Request;

/// The subscriptions that were granted and not ended. Costs each its filter and properties.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    granted: BTreeMap<TopicFilter<Bytes>, Subscription>,
}

#[derive(Debug)]
struct Subscription {
    options: SubscriptionOptions,
    properties: Properties<Bytes>,
    /// Whether the session of the present connection has it.
    confirmed: bool,
}

impl Subscriptions {
    pub(super) fn insert(
        &mut self,
        filter: TopicFilter<&[u8]>,
        options: SubscriptionOptions,
        properties: Properties<Bytes>,
    ) {
        let subscription = Subscription { options, properties, confirmed: true };
        self.granted.insert(filter.to_bytes(), subscription);
    }

    pub(super) fn remove(&mut self, filter: TopicFilter<&[u8]>) {
        self.granted.remove(&filter.to_bytes());
    }

    /// Forgets them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = TopicFilter<Bytes>> + use<> {
        mem::take(&mut self.granted).into_keys()
    }

    /// How to make those again that the session of the new connection does not have: all, unless the
    /// server has kept it; and those that were not granted again before the last one ended.
    pub(super) fn missing(&mut self, session_present: bool) -> Vec<Request> {
        let requests = self.granted.iter_mut().filter_map(|(filter, subscription)| {
            subscription.confirmed &= session_present;
            if subscription.confirmed {
                return None;
            }
            // One filter that was granted before is a legal list.
            let filters = SubscribeFilters::new([(filter.as_ref(), subscription.options)]).ok()?;
            Some(Request::Subscribe { filters, properties: subscription.properties.clone() })
        });
        requests.collect()
    }
}
