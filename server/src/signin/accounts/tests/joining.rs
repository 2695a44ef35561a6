//! Who becomes whom: invitations, providers and the founder.

use super::*;
use crate::signin::oidc::{Claims, Providers};
use crate::tenancy::Role;

const ISSUER: &str = "https://idp.example";

/// The word of a provider for `email`.
async fn by_provider(world: &World, email: &str) -> Result<NewSession, SignInError> {
    use std::os::unix::fs::PermissionsExt;
    let put = |name: &str, text: &str| {
        let path = world.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let file = serde_json::json!([{
        "id": "test", "name": "Test", "issuer": ISSUER, "client_id": "obsrv",
        "client_secret_file": put("secret", "s3cret"), "domains": ["example.org"],
    }]);
    let file = put("providers.json", &file.to_string());
    let master = MasterSecret::from_bytes([1; 32]);
    let time: Arc<dyn Clock> = Arc::<Hand>::clone(&world.clock);
    let providers = Providers::none(&master, time, Arc::new(OsRng));
    let providers = providers.load(&file, "https://obsrv.example").unwrap();
    let claims = Claims {
        subject: email.to_owned(),
        verified_email: Some(email.to_owned()),
        name: None,
    };
    let provider = providers.get("test").unwrap();
    world.accounts.sign_in_by(provider, claims).await
}

async fn invited(world: &World, by: By, email: &str) -> String {
    let invited = world.plane.invite(by, FIRST_ORG, email, Role::Viewer).await;
    invited.unwrap().made.token
}

async fn join(world: &World, token: &str) -> Result<NewSession, SignInError> {
    world.accounts.join(token, ada(), HERE).await
}

#[tokio::test]
async fn a_provider_does_not_open_an_account_that_whoever_had_the_invitation_made() {
    let world = World::owned().await;
    let token = invited(&world, By::operator(), "bob@example.org").await;
    let joined = join(&world, &token).await.unwrap();
    let user = world.accounts.users().get(joined.user).unwrap();
    assert!(!user.is_verified);
    let refused = by_provider(&world, "bob@example.org").await;
    assert!(matches!(refused, Err(SignInError::Identity)), "{refused:?}");
}

#[tokio::test]
async fn the_first_sign_in_by_a_provider_ends_what_the_password_opened() {
    let world = World::owned().await;
    let old = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let email = Email::parse("ada@example.org").unwrap();
    let link = world
        .accounts
        .link(Actor::Operator, &email, Purpose::Verify);
    let link = link.await.unwrap();
    world.accounts.verify(link.reveal(), HERE).await.unwrap();
    let first = by_provider(&world, "ada@example.org").await.unwrap();
    assert_eq!(first.user, old.user);
    assert!(!world.is_live(&old) && world.is_live(&first));
    let second = by_provider(&world, "ada@example.org").await.unwrap();
    assert!(world.is_live(&first) && world.is_live(&second));
}

/// An organization that somebody else made takes nobody hostage: neither by making them a member,
/// nor by the issuer that it requires.
#[tokio::test]
async fn a_foreign_organization_keeps_nobody_out_of_their_own() {
    let world = World::owned().await;
    let ada = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let system = By::system();
    let other = world.plane.create_org(system, "Other", "other").await;
    let other = other.unwrap().made;
    let mallory = By {
        actor: Actor::User(UserId(99)),
        ..system
    };
    for role in [Role::Viewer, Role::Owner] {
        let taken = world.plane.set_member(mallory, other, ada.user, role).await;
        assert!(matches!(taken, Err(ChangeError::Unknown("member"))));
    }
    let operator = By::operator();
    let set = world
        .plane
        .set_member(operator, other, ada.user, Role::Viewer);
    set.await.unwrap();
    let set = world
        .plane
        .set_member(mallory, other, ada.user, Role::Member);
    set.await.unwrap();
    let require = |org| world.plane.require_sso(system, org, Some(ISSUER));
    require(other).await.unwrap();
    world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    require(FIRST_ORG).await.unwrap();
    let refused = world.sign_in("ada@example.org", PASSWORD).await;
    assert!(matches!(refused, Err(SignInError::SsoRequired { .. })));
}

#[tokio::test]
async fn a_founder_who_was_removed_does_not_come_back() {
    let world = World::owned().await;
    let founder = world.accounts.users().first_owner().unwrap();
    let (by, plane) = (By::operator(), &world.plane);
    let heir = plane.set_member(by, FIRST_ORG, UserId(99), Role::Owner);
    heir.await.unwrap();
    plane.remove_member(by, FIRST_ORG, founder).await.unwrap();
    world.accounts.own().await.unwrap();
    assert_eq!(plane.directory().orgs_of(founder), []);
}

#[tokio::test]
async fn an_invitation_is_void_without_an_inviter_who_may_give_its_role() {
    let world = World::owned().await;
    let (root, plane) = (By::operator(), &world.plane);
    let admin = UserId(99);
    let by = By {
        actor: Actor::User(admin),
        ..root
    };
    let set = |role| plane.set_member(root, FIRST_ORG, admin, role);
    set(Role::Admin).await.unwrap();
    let token = invited(&world, by, "bob@example.org").await;
    assert_eq!(
        plane.invited(&token),
        Some(("bob@example.org".into(), None))
    );
    for role in [Some(Role::Member), None] {
        match role {
            Some(role) => set(role).await.map(drop).unwrap(),
            None => plane
                .remove_member(root, FIRST_ORG, admin)
                .await
                .map(drop)
                .unwrap(),
        }
        assert_eq!(plane.invited(&token), None, "{role:?}");
        let refused = plane.accept_invitation(root, UserId(7), &token, None).await;
        assert!(matches!(refused, Err(ChangeError::Unknown("invitation"))));
        let refused = join(&world, &token).await;
        assert!(matches!(refused, Err(SignInError::Link)));
    }
    let token = invited(&world, root, "bob@example.org").await;
    join(&world, &token).await.unwrap();
}

#[tokio::test]
async fn whoever_comes_by_a_provider_first_leaves_the_set_up_to_its_link() {
    let world = World::new();
    by_provider(&world, "bob@example.org").await.unwrap();
    let token = world.accounts.set_up_link().await.unwrap().unwrap();
    let founder = world.accounts.set_up(token.reveal(), ada(), HERE).await;
    let founder = founder.unwrap().user;
    assert_eq!(world.accounts.users().first_owner(), Some(founder));
    assert!(world.accounts.set_up_link().await.unwrap().is_none());
}
