"""
What moto 5.2 leaves out of CloudFormation, and our stacks need: imported before its server starts, nothing else to do.

A change set of moto's makes resources, but the stack then has neither outputs nor the new parameters, and it does not see a resource
that changes by a parameter alone, and lists what a condition leaves out. One without changes is an error if each parameter is given. Of
deletion policies moto knows only `Retain`, and what is gone already it cannot delete. There is no AWS::S3::BucketPolicy, and a statement
of one counts without its condition, so that ours, for TLS, would refuse everything. A bucket gets neither versions nor its public access
blocked, a key's policy and tags are misread, a repository gets no policy, and AWS::NoValue stays in a role's list of policies.
"""

import json

from moto.cloudformation import models, parsing
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.common_models import CloudFormationModel
from moto.ecr.models import Repository, ecr_backends
from moto.iam.models import Role
from moto.kms.models import Key
from moto.s3.models import FakeBucket, s3_backends

from tests.aws.standin.template import Template

PUSHED = {}  # by repository, the digest of an image that is in it as soon as it is made: for who has no registry to push to


class BucketPolicy(CloudFormationModel):
    def __init__(self, bucket):
        self.bucket = bucket

    @property
    def physical_resource_id(self):
        return self.bucket

    @staticmethod
    def cloudformation_name_type():
        return None

    @staticmethod
    def cloudformation_type():
        return "AWS::S3::BucketPolicy"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        properties = cloudformation_json["Properties"]
        s3_backends[account_id]["aws"].put_bucket_policy(properties["Bucket"], json.dumps(properties["PolicyDocument"]).encode())
        return cls(properties["Bucket"])

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

    def delete(self, account_id, region_name):
        if self.bucket in s3_backends[account_id]["aws"].buckets:
            s3_backends[account_id]["aws"].delete_bucket_policy(self.bucket)


def apply(change_set):
    stack = change_set.stack
    stack.resource_map.update(change_set.template_dict, change_set.parameters)
    declared = change_set.template_dict.get("Parameters", {})
    defaults = {name: str(parameter["Default"]) for name, parameter in declared.items() if "Default" in parameter}
    stack.parameters = stack.resource_map.input_parameters = defaults | change_set.parameters
    stack.template = change_set.template
    stack._parse_template()
    stack.output_map = stack._create_output_map()


def diff(change_set):
    stack, resources = change_set.stack, change_set.stack.resource_map
    by_action = resources.build_resource_diff(change_set.template_dict, change_set.parameters)
    before, after = resources._resource_json_map, change_set.template_dict["Resources"]
    there = Template(stack.template, stack.parameters, {}).wanted() if before else []
    wanted = Template(change_set.template, change_set.parameters, {}).wanted()
    by_action["Add"] = [name for name in wanted if name not in there]
    by_action["Modify"] = [name for name in by_action["Modify"] if name in there and name in wanted]
    by_action["Remove"] = [name for name in there if name not in wanted]
    return [
        models.Change(action=action, logical_resource_id=name, resource_type=(after.get(name) or before[name])["Type"])
        for action, names in by_action.items()
        for name in names
    ]


def delete(resources, original=parsing.ResourceMap.delete):
    for resource in resources._resource_json_map.values():
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate":
            resource["DeletionPolicy"] = "Retain"
    original(resources)


def delete_resource(resources, resource, template, original=parsing.ResourceMap._delete_resource):
    try:
        original(resources, resource, template)
    except Exception as error:  # each of moto's services has its own for what is not there; all others are raised again
        if "NotFound" not in type(error).__name__:
            raise


def create_key(cls, resource_name, cloudformation_json, *arguments, original=Key.create_from_cloudformation_json.__func__, **kwargs):
    properties = cloudformation_json["Properties"]
    properties["KeyPolicy"] = json.dumps(properties["KeyPolicy"])
    properties["Tags"] = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in properties.get("Tags", [])]
    return original(cls, resource_name, cloudformation_json, *arguments, **kwargs)


def create_role(cls, resource_name, cloudformation_json, *arguments, original=Role.create_from_cloudformation_json.__func__, **kwargs):
    properties = cloudformation_json["Properties"]
    properties["Policies"] = [policy for policy in properties.get("Policies", []) if policy]
    return original(cls, resource_name, cloudformation_json, *arguments, **kwargs)


def create_bucket(
    cls, resource_name, cloudformation_json, account_id, region_name, original=FakeBucket.create_from_cloudformation_json.__func__, **kw
):
    bucket = original(cls, resource_name, cloudformation_json, account_id, region_name, **kw)
    backend, properties = s3_backends[account_id]["aws"], cloudformation_json["Properties"]
    if "VersioningConfiguration" in properties:
        backend.put_bucket_versioning(bucket.name, properties["VersioningConfiguration"]["Status"])
    if "PublicAccessBlockConfiguration" in properties:
        blocked = {name: str(value).lower() for name, value in properties["PublicAccessBlockConfiguration"].items()}
        backend.put_public_access_block(bucket.name, blocked)
    return bucket


FakeBucket.create_from_cloudformation_json = classmethod(create_bucket)
FakeBucket.get_permission = lambda bucket, action, resource: None


def create_repository(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    properties = cloudformation_json["Properties"]
    for name in ("EncryptionConfiguration", "ImageScanningConfiguration"):
        properties[name] = {key[0].lower() + key[1:]: value for key, value in properties[name].items()}
    repository = ORIGINAL_REPOSITORY(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)
    policy = json.dumps(properties["RepositoryPolicyText"])
    backend = ecr_backends[account_id][region_name]
    backend.set_repository_policy(account_id, repository.name, policy)
    if repository.name in PUSHED:
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}
        backend.put_image(repository.name, json.dumps(manifest), "rehearsal", digest=PUSHED[repository.name])
    return repository


ORIGINAL_REPOSITORY = Repository.create_from_cloudformation_json.__func__
Repository.create_from_cloudformation_json = classmethod(create_repository)
Role.create_from_cloudformation_json = classmethod(create_role)
Key.create_from_cloudformation_json = classmethod(create_key)
CloudFormationResponse._validate_different_update = lambda *_: None
models.ChangeSet.apply = apply
models.ChangeSet.diff = diff
parsing.ResourceMap.delete = delete
parsing.ResourceMap._delete_resource = delete_resource
for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
    cached.cache_clear()
