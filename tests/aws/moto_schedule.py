"""CloudFormation's AWS::Scheduler::Schedule and AWS::SNS::TopicPolicy, which moto 5.2 does not have: imported before its server starts."""

import json

from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.scheduler.models import scheduler_backends
from moto.sns.models import sns_backends


class ScheduleResource(CloudFormationModel):
    """moto's own schedule, made from the properties of a template."""

    def __init__(self, name):
        self.physical_resource_id = name

    @staticmethod
    def cloudformation_name_type():
        return "Name"

    @staticmethod
    def cloudformation_type():
        return "AWS::Scheduler::Schedule"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        scheduler_backends[account_id][region_name].create_schedule(
            name=resource_name, group_name="default", kms_key_arn=None, end_date=None, **of_template(cloudformation_json["Properties"])
        )
        return cls(resource_name)

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        scheduler_backends[account_id][region_name].delete_schedule("default", original_resource.physical_resource_id)
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

    def delete(self, account_id, region_name):
        scheduler_backends[account_id][region_name].delete_schedule("default", self.physical_resource_id)


def of_template(properties):
    found = {
        name: properties.get(name) for name in ("Description", "FlexibleTimeWindow", "ScheduleExpression", "State", "StartDate", "Target")
    }
    named = {"Description": "description", "FlexibleTimeWindow": "flexible_time_window", "ScheduleExpression": "schedule_expression"}
    named |= {"State": "state", "StartDate": "start_date", "Target": "target"}
    zone = {"schedule_expression_timezone": properties["ScheduleExpressionTimezone"], "action_after_completion": None}
    return {named[name]: value for name, value in found.items()} | zone


class TopicPolicy(CloudFormationModel):
    def __init__(self, topics):
        self.topics = topics
        self.physical_resource_id = topics[0] + "-policy"

    @staticmethod
    def cloudformation_name_type():
        return None

    @staticmethod
    def cloudformation_type():
        return "AWS::SNS::TopicPolicy"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        properties = cloudformation_json["Properties"]
        for topic in properties["Topics"]:
            sns_backends[account_id][region_name].topics[topic].policy = json.dumps(properties["PolicyDocument"])
        return cls(properties["Topics"])

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

    def delete(self, account_id, region_name):
        """With its topic."""


for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
    cached.cache_clear()
