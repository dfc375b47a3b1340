"""Every table of the product, one file each. Importing this package registers them all."""

from partner_connector.db.models.api_key import ApiKey
from partner_connector.db.models.asset import Asset, AssetShare
from partner_connector.db.models.audit_event import AuditEvent, AuditHead
from partner_connector.db.models.base import Base
from partner_connector.db.models.capability import Capability
from partner_connector.db.models.change import Change, ChangeFeed, PlannedChange
from partner_connector.db.models.executor import Executor
from partner_connector.db.models.graph_budget import GraphBudget
from partner_connector.db.models.idempotency_key import IdempotencyKey
from partner_connector.db.models.integration import Integration
from partner_connector.db.models.partner import Partner
from partner_connector.db.models.partner_user import Grant, PartnerUser
from partner_connector.db.models.staging import StagedAsset, StagedGrant, StagedPartner, StagedUser
from partner_connector.db.models.sync_job import SyncJob
from partner_connector.db.models.sync_job_event import SyncJobEvent
from partner_connector.db.models.token import Token
from partner_connector.db.models.token_request import TokenRequest
from partner_connector.db.models.token_validation import TokenValidation
from partner_connector.db.models.webhook_delivery import WebhookDelivery
from partner_connector.db.models.webhook_endpoint import WebhookEndpoint, WebhookSecret
from partner_connector.db.models.webhook_event import WebhookEvent, WebhookFeed
from partner_connector.db.models.workspace import Workspace

__all__ = [
    "ApiKey",
    "Asset",
    "AssetShare",
    "AuditEvent",
    "AuditHead",
    "Base",
    "Capability",
    "Change",
    "ChangeFeed",
    "Executor",
    "Grant",
    "GraphBudget",
    "IdempotencyKey",
    "Integration",
    "Partner",
    "PartnerUser",
    "PlannedChange",
    "StagedAsset",
    "StagedGrant",
    "StagedPartner",
    "StagedUser",
    "SyncJob",
    "SyncJobEvent",
    "Token",
    "TokenRequest",
    "TokenValidation",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "WebhookFeed",
    "WebhookSecret",
    "Workspace",
]
