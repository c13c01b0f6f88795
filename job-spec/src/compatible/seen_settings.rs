//! The platform's settings as Terrakube 2.27 sees them: not those under the documented, old prefix.

use std::borrow::Cow;

use config_core::{EphemeralSettings, Sourced};

use super::Defect;

/// Leaves out what has the prefix `org.terrakube`; the built-in default applies there.
pub(super) fn seen(settings: &EphemeralSettings) -> Cow<'_, EphemeralSettings> {
    if ignored(settings).is_empty() {
        return Cow::Borrowed(settings);
    }
    let mut seen = settings.clone();
    let defaults = EphemeralSettings::default();
    replace(&mut seen.namespace, defaults.namespace);
    replace(&mut seen.image, defaults.image);
    replace(&mut seen.secrets, defaults.secrets);
    seen.node_selector.retain(|_, label| !label.origin.has_old_prefix());
    Cow::Owned(seen)
}

fn replace<T>(setting: &mut Sourced<T>, default: Sourced<T>) {
    if setting.origin.has_old_prefix() {
        *setting = default;
    }
}

/// Returns a defect for each setting that is ignored.
pub(super) fn ignored(settings: &EphemeralSettings) -> Vec<Defect> {
    let EphemeralSettings { namespace, image, secrets, node_selector, .. } = settings;
    let single = [&namespace.origin, &image.origin, &secrets.origin];
    let labels = node_selector.values().map(|label| &label.origin);
    let old = single.into_iter().chain(labels).filter(|origin| origin.has_old_prefix());
    let text = "silently ignored: the documentation shows the prefix org.terrakube, but since version 2.27 \
                it is io.terrakube";
    old.map(|origin| Defect::new(origin.to_string(), text)).collect()
}
