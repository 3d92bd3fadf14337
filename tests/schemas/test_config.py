"""Settings: documented, typed, and refused with the key and the reason."""

import re
import tomllib
import typing

import pytest
from pydantic import SecretStr

from schemas.config import FILE_KEY, PREFIX, Settings, parse_settings
from schemas.errors import ConfigurationError

SECRET = "correct horse battery staple"
SECRETS = sorted(
    name
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *typing.get_args(field.annotation))
)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_setting_is_documented(name: str) -> None:
    """Every setting says what it is for, in a sentence that ``miroir doctor`` can print."""
    description = Settings.model_fields[name].description

    assert description is not None
    assert re.fullmatch(r"[A-Z].{10,}\.", description), description


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_setting_has_a_default(name: str) -> None:
    """A local stack needs no configuration."""
    assert not Settings.model_fields[name].is_required()


@pytest.mark.parametrize("name", SECRETS)
def test_secret_is_in_no_text_form(name: str) -> None:
    """A log line, a traceback or a dump may hold the whole object."""
    settings = parse_settings({f"{PREFIX}{name.upper()}": SECRET})

    assert getattr(settings, name).get_secret_value() == SECRET
    assert SECRET not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"


def test_empty_master_key_is_none() -> None:
    """A variable that is there and empty, as compose files make it, protects nothing and locks nobody out."""
    assert parse_settings({"MIROIR_MASTER_KEY": ""}).master_key is None


def test_every_setting_that_sounds_secret_is_one() -> None:
    """A new password does not slip in as plain text."""
    secret = re.compile(r"password|master_key|secret|token")

    assert sorted(filter(secret.search, Settings.model_fields)) == SECRETS


def test_environment_comes_before_the_file() -> None:
    """What is set for one run wins over what is written down."""
    file = tomllib.loads('kafka = "file:1"\nhttp_port = 1')

    settings = parse_settings({"MIROIR_KAFKA": "environment:1", "HOME": "/"}, file)

    assert (settings.kafka, settings.http_port) == ("environment:1", 1)


def test_name_of_the_file_is_no_setting() -> None:
    """It is read by the shell, before there are settings."""
    assert parse_settings({FILE_KEY: "x.toml"}) == parse_settings({})


@pytest.mark.parametrize(
    ("environment", "file", "key", "reason"),
    [
        pytest.param({"MIROIR_KAFKE": "x:1"}, {}, "MIROIR_KAFKE", "is not known", id="unknown variable"),
        pytest.param({}, {"kafke": "x:1"}, "kafke", "is not known", id="unknown key in the file"),
        pytest.param({}, {"kafka": {"servers": "x"}}, "MIROIR_KAFKA", "valid string", id="a table for text"),
        pytest.param({"MIROIR_KAFKA": "kafka"}, {}, "MIROIR_KAFKA", "expected host:port", id="no port"),
        pytest.param({"MIROIR_KAFKA": ""}, {}, "MIROIR_KAFKA", "expected host:port", id="empty"),
        pytest.param({"MIROIR_KAFKA": "a:1, b:2"}, {}, "MIROIR_KAFKA", "found ' b:2'", id="a blank in a list"),
        pytest.param({"MIROIR_KAFKA": "kafka://a:1"}, {}, "MIROIR_KAFKA", "expected host:port", id="a URL"),
        pytest.param({"MIROIR_HTTP_PORT": "x"}, {}, "MIROIR_HTTP_PORT", "integer", id="no number"),
        pytest.param({"MIROIR_HTTP_PORT": "65536"}, {}, "MIROIR_HTTP_PORT", "65535", id="no port number"),
        pytest.param({"MIROIR_SEARCH_TIMEOUT_S": "0"}, {}, "MIROIR_SEARCH_TIMEOUT_S", "greater than 0", id="no time"),
        pytest.param({"MIROIR_SEARCH_TIMEOUT_S": "nan"}, {}, "MIROIR_SEARCH_TIMEOUT_S", "less than", id="NaN"),
        pytest.param({"MIROIR_SEARCH_TIMEOUT_S": "inf"}, {}, "MIROIR_SEARCH_TIMEOUT_S", "3600", id="for ever"),
        pytest.param({"MIROIR_KAFKA_IDEMPOTENCE": "maybe"}, {}, "MIROIR_KAFKA_IDEMPOTENCE", "boolean", id="no boolean"),
        pytest.param({"MIROIR_LOG_LEVEL": "loud"}, {}, "MIROIR_LOG_LEVEL", "'debug'", id="an unknown level"),
        pytest.param(
            {"MIROIR_KAFKA_SECURITY_PROTOCOL": "SASL"},
            {},
            "MIROIR_KAFKA_SECURITY_PROTOCOL",
            "SASL_SSL",
            id="an unknown protocol",
        ),
        pytest.param(
            {"MIROIR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "MIROIR_KAFKA_SASL_PASSWORD": SECRET},
            {},
            "MIROIR_KAFKA_SASL_USERNAME",
            "needed with kafka_security_protocol SASL_SSL",
            id="SASL without a user",
        ),
        pytest.param(
            {"MIROIR_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "MIROIR_KAFKA_SASL_PASSWORD": ""},
            {"kafka_sasl_username": "worker"},
            "MIROIR_KAFKA_SASL_PASSWORD",
            "needed with kafka_security_protocol SASL_PLAINTEXT",
            id="SASL without a password",
        ),
        pytest.param(
            {"MIROIR_KAFKA_SSL_KEYFILE": "/key.pem"},
            {},
            "MIROIR_KAFKA_SSL_CERTFILE",
            "needed with kafka_ssl_keyfile",
            id="a key without its certificate",
        ),
        pytest.param(
            {"MIROIR_HTTP_HOST": ""}, {}, "MIROIR_HTTP_HOST", "at least 1", id="every address, by an oversight"
        ),
        pytest.param({"MIROIR_POST_BYTES_MAX": "1"}, {}, "MIROIR_POST_BYTES_MAX", "1048576", id="too small a post"),
        pytest.param({"MIROIR_POST_BYTES_MAX": "1e9"}, {}, "MIROIR_POST_BYTES_MAX", "integer", id="a fraction"),
    ],
)
def test_bad_setting_is_refused_with_key_and_reason(
    environment: dict[str, str], file: dict[str, object], key: str, reason: str
) -> None:
    """Who starts the process reads which line to change, and to what."""
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(environment, file)

    assert key in caught.value.key
    assert reason in caught.value.reason
    assert key in str(caught.value)
    assert "Value error" not in str(caught.value)


def test_bad_secret_is_refused_without_being_shown() -> None:
    """Not even the error holds it."""
    with pytest.raises(ConfigurationError) as caught:
        parse_settings({}, {"node_master_key": [SECRET]})

    assert SECRET not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__!r}"


@pytest.mark.parametrize("text", ["kafka:9092", "a-1.b_2:1,c:65535", "[::1]:9092", "127.0.0.1:0"])
def test_brokers_as_host_and_port_are_taken(text: str) -> None:
    """Names, addresses, several of them."""
    assert parse_settings({"MIROIR_KAFKA": text}).kafka == text


def test_kafka_config_holds_what_was_set() -> None:
    """Every client is made from the same settings, under its own name."""
    settings = parse_settings(
        {
            "MIROIR_KAFKA": "kafka:9093",
            "MIROIR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "MIROIR_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "MIROIR_KAFKA_SASL_USERNAME": "app",
            "MIROIR_KAFKA_SASL_PASSWORD": SECRET,
            "MIROIR_KAFKA_SSL_CAFILE": "/ca.pem",
            "MIROIR_KAFKA_IDEMPOTENCE": "false",
            "MIROIR_KAFKA_REPLICATION_FACTOR": "1",
        }
    )

    config = settings.kafka_config("worker-1")

    assert (config.bootstrap_servers, config.security_protocol, config.client_id) == (
        "kafka:9093",
        "SASL_SSL",
        "worker-1",
    )
    assert (config.sasl_mechanism, config.sasl_username, config.sasl_password) == ("SCRAM-SHA-512", "app", SECRET)
    assert (config.ssl_cafile, config.idempotence, config.replication_factor) == ("/ca.pem", False, 1)
    assert SECRET not in repr(config)
