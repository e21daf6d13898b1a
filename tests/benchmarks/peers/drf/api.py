"""Django REST framework, as in its guide: a model serializer and a model view set."""

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, ModelSerializer
from rest_framework.viewsets import ModelViewSet

from peers.tasks.models import Task


class TaskSerializer(ModelSerializer):
    class Meta:
        model = Task
        fields = (
            "id",
            "user_id",
            "title",
            "description",
            "complete",
            "priority",
            "completed_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("user_id",)


class TaskViewSet(ModelViewSet):
    serializer_class = TaskSerializer
    lookup_url_kwarg = "task_id"

    def get_queryset(self) -> QuerySet[Task]:
        return Task.objects.filter(user_id=self.kwargs["user_id"], deleted_at=None)

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save(user_id=self.kwargs["user_id"])

    def perform_destroy(self, instance: Task) -> None:
        instance.trash()

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        tasks = self.get_serializer(self.get_queryset()[:1000], many=True).data
        return Response({"tasks": tasks, "count": len(tasks)})


urlpatterns = [
    path("api/<user_id>/tasks", TaskViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "api/<user_id>/tasks/<int:task_id>",
        TaskViewSet.as_view(
            {
                "get": "retrieve",
                "put": "update",
                "patch": "partial_update",
                "delete": "destroy",
            }
        ),
    ),
]
